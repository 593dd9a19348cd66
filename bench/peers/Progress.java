// How far the input is read: Kafka Streams shows every record to its timestamp extractor, which costs less than a step of the topology.

import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.processor.TimestampExtractor;

final class Progress implements TimestampExtractor {
  private static final int MAX_PARTITIONS = 1024;

  private final AtomicLong records = new AtomicLong();
  /** Of each partition, one after the last that was read; 0 before. */
  private final AtomicLongArray next = new AtomicLongArray(MAX_PARTITIONS);
  private volatile long firstAt;
  // Of the stream thread, the only one that writes.
  private long seen;

  @Override
  public long extract(ConsumerRecord<Object, Object> record, long partitionTime) {
    if (seen == 0) firstAt = System.currentTimeMillis();
    seen += 1;
    next.lazySet(record.partition(), record.offset() + 1);
    records.lazySet(seen);
    return record.timestamp();
  }

  long firstAt() {
    return firstAt;
  }

  long records() {
    return records.get();
  }

  /** All that was read is below these. */
  boolean isBelow(Map<TopicPartition, OffsetAndMetadata> positions) {
    long[] committed = new long[MAX_PARTITIONS];
    positions.forEach(
        (partition, position) -> {
          // Null: the group has none there.
          if (position != null) committed[partition.partition()] = position.offset();
        });
    for (int partition = 0; partition < MAX_PARTITIONS; partition += 1) {
      if (committed[partition] < next.get(partition)) return false;
    }
    return true;
  }
}
