package ringwatch.bench;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyWindowStore;
import org.apache.kafka.streams.state.WindowStore;

/** Kafka Streams: a hopping window over JSON read by Jackson, one thread; all else is Kafka Streams' own default. */
public final class RollingCounts {
    private static final String STORE = "counts";

    /** What is read of a record. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    public record Call(String number, long at, boolean answered) {}

    /** What a window holds. */
    record Counts(long attempts, long answered) {
        Counts with(Call call) {
            return new Counts(attempts + 1, call.answered() ? answered + 1 : answered);
        }
    }

    /** The task on the command line; see bench/windows/task.py. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    public record Task(String bootstrap, String topic, long events, long start, long warm, String run, String folder,
            String report, List<String> numbers, long window, long hop, long grace) {}

    private final Task task;
    private final CountDownLatch done = new CountDownLatch(1);
    private volatile Throwable failure;
    private long seen;
    private long began;
    private volatile long ended;

    private RollingCounts(Task task) {
        this.task = task;
    }

    public static void main(String[] arguments) throws Exception {
        Task task = new ObjectMapper().readValue(arguments[0], Task.class);
        new RollingCounts(task).run();
    }

    private void run() throws Exception {
        try (KafkaStreams streams = new KafkaStreams(topology().build(), new StreamsConfig(settings()))) {
            streams.setUncaughtExceptionHandler(error -> {
                failure = error;
                done.countDown();
                return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
            });
            streams.start();
            done.await();
            if (failure != null) {
                throw new IllegalStateException("Kafka Streams ended", failure);
            }
            Map<String, Map<Long, long[]>> counts = counts(streams);
            Map<String, Object> report = new HashMap<>();
            report.put("timed", task.events() - task.warm());
            report.put("seconds", (ended - began) / 1e9);
            report.put("counts", counts);
            Files.writeString(Path.of(task.report()), new ObjectMapper().writeValueAsString(report));
        }
    }

    private Properties settings() {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "kafka-streams-" + task.run());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, task.bootstrap());
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, task.folder());
        settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        return settings;
    }

    private StreamsBuilder topology() {
        StreamsBuilder builder = new StreamsBuilder();
        TimeWindows windows = TimeWindows
                .ofSizeAndGrace(Duration.ofMillis(task.window()), Duration.ofMillis(task.grace()))
                .advanceBy(Duration.ofMillis(task.hop()));
        builder.stream(task.topic(), Consumed.with(Serdes.String(), callSerde())
                        .withTimestampExtractor((record, partitionTime) -> ((Call) record.value()).at()))
                .peek((number, call) -> before())
                .groupByKey()
                .windowedBy(windows)
                .aggregate(() -> new Counts(0, 0), (number, call, counts) -> after(counts.with(call)),
                        Materialized.<String, Counts, WindowStore<Bytes, byte[]>>as(STORE)
                                .withKeySerde(Serdes.String())
                                .withValueSerde(countsSerde()));
        return builder;
    }

    /** Runs on the one stream thread, before each record is counted. */
    private void before() {
        if (seen == task.warm()) {
            began = System.nanoTime();
        }
        seen++;
    }

    /** Runs on the one stream thread, for each window of a record. */
    private Counts after(Counts counts) {
        if (seen == task.events()) {
            ended = System.nanoTime();
            done.countDown();
        }
        return counts;
    }

    private Map<String, Map<Long, long[]>> counts(KafkaStreams streams) throws InterruptedException {
        // The last record's windows may still be on their way into the store.
        Thread.sleep(200);
        ReadOnlyWindowStore<String, Counts> store = streams.store(
                StoreQueryParameters.fromNameAndType(STORE, QueryableStoreTypes.windowStore()));
        Map<String, Map<Long, long[]>> found = new TreeMap<>();
        // From the epoch on, each of the thirty million minutes since would be looked at.
        Instant first = Instant.ofEpochMilli(task.start() - task.window());
        for (String number : task.numbers()) {
            Map<Long, long[]> windows = new TreeMap<>();
            try (var iterator = store.fetch(number, first, Instant.now())) {
                iterator.forEachRemaining(entry ->
                        windows.put(entry.key, new long[] {entry.value.attempts(), entry.value.answered()}));
            }
            found.put(number, windows);
        }
        return found;
    }

    private static Serde<Call> callSerde() {
        ObjectMapper mapper = new ObjectMapper();
        ObjectReader reader = mapper.readerFor(new TypeReference<Call>() {});
        Serializer<Call> never = (topic, call) -> {
            throw new UnsupportedOperationException("calls are read only");
        };
        Deserializer<Call> jackson = (topic, bytes) -> {
            try {
                return reader.readValue(bytes);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        };
        return Serdes.serdeFrom(never, jackson);
    }

    private static Serde<Counts> countsSerde() {
        return Serdes.serdeFrom(
                (topic, counts) -> counts == null ? null
                        : ByteBuffer.allocate(16).putLong(counts.attempts()).putLong(counts.answered()).array(),
                (topic, bytes) -> {
                    if (bytes == null) {
                        return null;
                    }
                    ByteBuffer buffer = ByteBuffer.wrap(bytes);
                    return new Counts(buffer.getLong(), buffer.getLong());
                });
    }
}
