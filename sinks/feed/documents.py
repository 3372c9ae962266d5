"""The page `/docs`: Swagger UI from files of an installed package, so that it works without a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import swagger_ui_bundle
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

JsonObject = dict[str, Any]

# The page's own script is inline; everything else comes from this server.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; frame-ancestors 'none'"
)


def document_routes(title: str, document: Callable[[], JsonObject]) -> list[BaseRoute]:
    """The routes of `/docs` and what it loads.

    Args:
        title: the page's title.
        document: gives the OpenAPI 3.1 document.
    """

    async def page(_request: Request) -> Response:
        answer = get_swagger_ui_html(
            openapi_url="/docs/openapi.json",
            title=title,
            swagger_js_url="/docs/files/swagger-ui-bundle.js",
            swagger_css_url="/docs/files/swagger-ui.css",
            swagger_favicon_url="/docs/files/favicon-32x32.png",
        )
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer

    async def older_document(_request: Request) -> Response:
        return JSONResponse(as_openapi_3_0(document()))

    return [
        Route("/docs", page, include_in_schema=False),
        Route("/docs/openapi.json", older_document, include_in_schema=False),
        Mount("/docs/files", StaticFiles(directory=str(swagger_ui_bundle.swagger_ui_path)), name="docs-files"),
    ]


def as_openapi_3_0(document: JsonObject) -> JsonObject:
    """Write an OpenAPI 3.1 document as 3.0, which is as far as the packaged Swagger UI reads.

    >>> as_openapi_3_0({"openapi": "3.1.0", "s": {"anyOf": [{"type": "string"}, {"type": "null"}]}})
    {'openapi': '3.0.3', 's': {'type': 'string', 'nullable': True}}
    """
    older: JsonObject = _older(document)
    return older | {"openapi": "3.0.3"}


def _older(node: Any) -> Any:
    if isinstance(node, list):
        return [_older(one) for one in node]
    if not isinstance(node, dict):
        return node
    written = {key: _older(value) for key, value in node.items()}
    options = written.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        kept = [option for option in options if option != {"type": "null"}]
        del written["anyOf"]
        written |= (kept[0] if len(kept) == 1 and "$ref" not in kept[0] else {"anyOf": kept}) | {"nullable": True}
    if "const" in written:
        written["enum"] = [written.pop("const")]
    examples = written.get("examples")
    if isinstance(examples, list) and examples:
        del written["examples"]
        written["example"] = examples[0]
    return written
