// A stateful count with Kafka Streams, as its own documentation writes one: one thread, RocksDB, its cache and all else as they come.

import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;

final class ClickCount implements AutoCloseable {
  /** An event of the bench; what it has not is null. */
  record Click(String page, String referrer, String session, long at) {}

  record Settings(
      String brokers, String topic, String application, String guarantee, int commitMs, String folder) {}

  static final String STORE = "counts";

  private final Settings settings;
  private final Progress progress = new Progress();
  private final KafkaStreams streams;
  private final Admin admin;

  /** Resolves when its thread has its partitions. */
  static ClickCount start(Settings settings) throws InterruptedException {
    ClickCount count = new ClickCount(settings);
    CountDownLatch running = new CountDownLatch(1);
    count.streams.setStateListener(
        (now, before) -> {
          if (now == KafkaStreams.State.RUNNING) running.countDown();
        });
    count.streams.start();
    running.await();
    return count;
  }

  private ClickCount(Settings settings) {
    this.settings = settings;
    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, settings.application());
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, settings.brokers());
    properties.put(StreamsConfig.STATE_DIR_CONFIG, settings.folder());
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, settings.guarantee());
    properties.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, settings.commitMs());
    streams = new KafkaStreams(topology(), properties);
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          // The bench waits for what will not come.
          Runtime.getRuntime().halt(1);
          return null;
        });
    admin = Admin.create(Map.of("bootstrap.servers", settings.brokers()));
  }

  private Topology topology() {
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(
            settings.topic(),
            Consumed.with(Serdes.String(), clicks()).withTimestampExtractor(progress))
        .groupByKey()
        .count(Materialized.<String, Long, KeyValueStore<Bytes, byte[]>>as(STORE));
    return builder.build();
  }

  private static Serde<Click> clicks() {
    ObjectReader reader = JsonMapper.builder().build().readerFor(Click.class);
    Deserializer<Click> parse =
        (topic, bytes) -> {
          try {
            return bytes == null ? null : reader.readValue(bytes);
          } catch (IOException error) {
            throw new UncheckedIOException(error);
          }
        };
    return Serdes.serdeFrom(
        (topic, click) -> {
          throw new UnsupportedOperationException("clicks are only read");
        },
        parse);
  }

  /** Milliseconds since 1970 at which the first record was read. */
  long firstAt() {
    return progress.firstAt();
  }

  /** Returns when so many records are read, and the group's committed positions are past all of them. */
  void committed(long records) throws Exception {
    while (progress.records() < records) LockSupport.parkNanos(1_000_000);
    while (!progress.isBelow(positions())) LockSupport.parkNanos(1_000_000);
  }

  private Map<TopicPartition, OffsetAndMetadata> positions() throws Exception {
    // What a transaction that is being committed holds back is waited for.
    ListConsumerGroupOffsetsOptions options =
        new ListConsumerGroupOffsetsOptions().requireStable(true);
    return admin
        .listConsumerGroupOffsets(settings.application(), options)
        .partitionsToOffsetAndMetadata()
        .get();
  }

  ReadOnlyKeyValueStore<String, Long> store() {
    return streams.store(
        StoreQueryParameters.fromNameAndType(STORE, QueryableStoreTypes.keyValueStore()));
  }

  String changelog() {
    return settings.application() + "-" + STORE + "-changelog";
  }

  @Override
  public void close() {
    streams.close();
    admin.close();
  }
}
