// From an emit to its effect in the store of the same process: produce, acknowledged, then ask the store until it shows it.

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;

final class Latency implements AutoCloseable {
  // Often enough not to show, and leaves the processor to those that have work.
  private static final long POLL_NANOS = 50_000;

  private final String topic;
  private final ReadOnlyKeyValueStore<String, Long> store;
  private final KafkaProducer<String, String> producer;
  private final Map<String, Long> counts = new HashMap<>();
  private final int keys;
  private final int lingerMs;
  private int emitted;

  Latency(
      ClickCount.Settings to, int keys, int lingerMs, ReadOnlyKeyValueStore<String, Long> store) {
    topic = to.topic();
    this.keys = keys;
    this.lingerMs = lingerMs;
    this.store = store;
    Map<String, Object> settings =
        Map.of(
            ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, to.brokers(),
            ProducerConfig.ACKS_CONFIG, "all",
            ProducerConfig.LINGER_MS_CONFIG, lingerMs);
    producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer());
  }

  /** Milliseconds that one took. */
  double once() throws Exception {
    // No other one has these keys.
    String key = "user-" + lingerMs + "-" + emitted % keys;
    long right = counts.merge(key, 1L, Long::sum);
    emitted += 1;
    long began = System.nanoTime();
    producer.send(new ProducerRecord<>(topic, key, "{\"page\":\"/home\"}")).get();
    Long found = store.get(key);
    while (found == null || found < right) {
      LockSupport.parkNanos(POLL_NANOS);
      found = store.get(key);
    }
    double took = (System.nanoTime() - began) / 1e6;
    if (found != right) {
      throw new IllegalStateException(key + " was counted " + found + " times, not " + right);
    }
    return took;
  }

  @Override
  public void close() {
    producer.close();
  }
}
