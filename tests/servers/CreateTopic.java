import java.util.*;
import org.apache.kafka.clients.admin.*;

/** Makes the topics named, with four partitions. */
class CreateTopic {
    public static void main(String[] arguments) throws Exception {
        try (var admin = Admin.create(Map.of("bootstrap.servers", arguments[0]))) {
            var topics = new ArrayList<NewTopic>();
            for (var name : Arrays.asList(arguments).subList(1, arguments.length))
                topics.add(new NewTopic(name, 4, (short) 1));
            admin.createTopics(topics).all().get();
        }
    }
}
