import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.utils.Utils;

/** Prints every record of the topics named: topic, partition, the partition that Java's producer would take, key, value. */
class ConsumeAll {
    public static void main(String[] arguments) {
        var settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        var none = new ByteArrayDeserializer();
        try (var consumer = new KafkaConsumer<byte[], byte[]>(settings, none, none)) {
            for (var topic : Arrays.asList(arguments).subList(1, arguments.length)) {
                var partitions = new ArrayList<TopicPartition>();
                for (var info : consumer.partitionsFor(topic)) partitions.add(new TopicPartition(topic, info.partition()));
                consumer.assign(partitions);
                consumer.seekToBeginning(partitions);
                long wanted = 0, seen = 0;
                for (var end : consumer.endOffsets(partitions).values()) wanted += end;
                while (seen < wanted) {
                    for (var record : consumer.poll(Duration.ofMillis(200))) {
                        seen++;
                        var key = record.key() == null ? "-" : new String(record.key(), StandardCharsets.UTF_8);
                        var expected = record.key() == null ? -1
                            : Utils.toPositive(Utils.murmur2(record.key())) % partitions.size();
                        System.out.println(topic + "\t" + record.partition() + "\t" + expected + "\t" + key + "\t"
                            + new String(record.value(), StandardCharsets.UTF_8));
                    }
                }
            }
        }
    }
}
