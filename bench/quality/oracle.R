# Run lengths of Bernoulli CUSUM charts by R's package surveillance, one line a chart:
# R k m H fineness, as in oracle.py; prints one run length a line.
suppressMessages(library(surveillance))
density <- function(y, size, mu, log = FALSE) dbinom(y, size, mu, log = log)
for (line in readLines(file("stdin"))) {
  given <- as.numeric(strsplit(line, " ")[[1]])
  ratio <- given[1]; steps <- given[2]; whole <- given[3]; height <- given[4]; fineness <- given[5]
  p <- (1 - ratio^(steps / whole)) / (1 - ratio)
  changed <- ratio * p / (1 - p + ratio * p)
  step <- -log(ratio) / whole
  width <- step / (fineness + 1 / 6)
  cells <- round((height - 0.5) * step / width)
  found <- LRCUSUM.runlength(mu = matrix(1 - p), mu0 = matrix(1 - p), mu1 = matrix(1 - changed),
                             h = cells * width, dfun = density, n = 1, g = cells + 1)
  cat(sprintf("%.6f\n", found$arl))
}
