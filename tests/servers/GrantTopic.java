import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.resource.*;

/** Allows one operation (DESCRIBE, WRITE) on a topic to a user, and so denies all others to everybody but super users. */
class GrantTopic {
    public static void main(String[] arguments) throws Exception {
        try (var admin = Admin.create(Map.of("bootstrap.servers", arguments[0]))) {
            var topic = new ResourcePattern(ResourceType.TOPIC, arguments[1], PatternType.LITERAL);
            var operation = AclOperation.fromString(arguments[3]);
            var entry = new AccessControlEntry("User:" + arguments[2], "*", operation, AclPermissionType.ALLOW);
            admin.createAcls(List.of(new AclBinding(topic, entry))).all().get();
        }
    }
}
