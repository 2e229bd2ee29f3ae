import java.io.FileReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.flume.Event;
import org.apache.flume.api.RpcClient;
import org.apache.flume.api.RpcClientFactory;
import org.apache.flume.event.EventBuilder;

/**
 * What an application does with Flume's RPC clients, in the interface of Flume 1.4. Arguments: number of events, then files of
 * client properties, `tag` being what the events are called. Some are appended one by one, the rest in batches larger
 * than the client's batch-size. Prints `ok TAG` per file; any failure ends it with a stack trace.
 */
public class OldRpc {
    public static void main(String[] args) throws Exception {
        int count = Integer.parseInt(args[0]);
        for (int file = 1; file < args.length; file++) {
            Properties props = new Properties();
            try (Reader reader = new FileReader(args[file])) {
                props.load(reader);
            }
            String tag = props.getProperty("tag");
            RpcClient client = RpcClientFactory.getInstance(props);
            try {
                send(client, tag, count);
            } finally {
                client.close();
            }
            System.out.println("ok " + tag);
        }
        System.exit(0);
    }

    static void send(RpcClient client, String tag, int count) throws Exception {
        int i = 0;
        while (i < 20) client.append(event(tag, i++));
        while (i < count) {
            List<Event> batch = new ArrayList<>();
            while (i < count && batch.size() < 250) batch.add(event(tag, i++));
            client.appendBatch(batch);
        }
    }

    static Event event(String tag, int i) {
        StringBuilder body = new StringBuilder(tag + " " + i + " \u6570\u636e ");
        for (int x = i * 37 % 3000; x > 0; x--) body.append('x');
        Map<String, String> headers = new HashMap<>();
        if (i % 3 != 0) {
            headers.put("n", "" + i);
            headers.put("\u540d", "\u503c" + i);
        }
        return EventBuilder.withBody(body.toString().getBytes(StandardCharsets.UTF_8), headers);
    }
}
