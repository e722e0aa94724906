import java.io.IOException;
import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.UnsupportedCallbackException;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerTokenCallback;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallback;

/**
 * Judges the tokens of Amazon MSK's IAM access control as its brokers do: a presigned request to connect, in base64. Kafka's own
 * validators want a JWT. Signature, host, scope and expiry are checked; whose key it is becomes the principal,
 * {@code User:<access key id>}. Keys come as options of the login module: {@code key_<access key id>="<secret>"} and
 * {@code region="<region>"}. A test part: it knows no roles and no policies.
 */
public final class MskIamHandler implements AuthenticateCallbackHandler {
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);
    private static final String SERVICE = "kafka-cluster";
    private static final long LONGEST_SECONDS = 900;
    private static final String EMPTY_BODY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    private Map<String, ?> options = Map.of();

    @Override
    public void configure(Map<String, ?> configs, String mechanism, List<AppConfigurationEntry> entries) {
        options = entries.isEmpty() ? Map.of() : entries.get(0).getOptions();
    }

    @Override
    public void close() {}

    @Override
    public void handle(Callback[] callbacks) throws IOException, UnsupportedCallbackException {
        for (Callback callback : callbacks) {
            if (callback instanceof OAuthBearerValidatorCallback validator) {
                try {
                    validator.token(judge(validator.tokenValue(), Instant.now()));
                } catch (Refused | GeneralSecurityException | RuntimeException refused) {
                    System.err.println("MskIamHandler refuses a token: " + refused.getMessage());
                    validator.error("invalid_token", null, null);
                }
            } else if (callback instanceof OAuthBearerTokenCallback login) {
                // Asked when the listener starts. Brokers speak to each other by another one, so this one needs no token.
                login.token(null);
            } else {
                throw new UnsupportedCallbackException(callback);
            }
        }
    }

    private OAuthBearerToken judge(String value, Instant now) throws Refused, GeneralSecurityException {
        URI url = URI.create(new String(Base64.getUrlDecoder().decode(value), StandardCharsets.UTF_8));
        String region = String.valueOf(options.get("region"));
        demand("https".equals(url.getScheme()), "it is not https");
        demand(("kafka." + region + ".amazonaws.com").equals(url.getHost()), "it is signed for host " + url.getHost());
        TreeMap<String, String> query = new TreeMap<>();
        for (String pair : url.getRawQuery().split("&")) {
            String[] parts = pair.split("=", 2);
            demand(parts.length == 2, "a parameter has no value");
            query.put(decode(parts[0]), decode(parts[1]));
        }
        query.remove("User-Agent");
        String signature = query.remove("X-Amz-Signature");
        demand(signature != null, "it has no signature");
        demand("kafka-cluster:Connect".equals(query.get("Action")), "it asks for " + query.get("Action"));
        demand("AWS4-HMAC-SHA256".equals(query.get("X-Amz-Algorithm")), "its algorithm is another");
        demand("host".equals(query.get("X-Amz-SignedHeaders")), "it signs other headers than host");

        Instant signed = Instant.from(TIME.parse(query.get("X-Amz-Date")));
        long lifetime = Long.parseLong(query.get("X-Amz-Expires"));
        demand(lifetime > 0 && lifetime <= LONGEST_SECONDS, "it lives for " + lifetime + " s");
        Instant expires = signed.plusSeconds(lifetime);
        demand(!signed.isAfter(now.plusSeconds(300)), "it is of " + signed);
        demand(expires.isAfter(now), "it expired at " + expires);

        String[] scope = query.get("X-Amz-Credential").split("/");
        String day = query.get("X-Amz-Date").substring(0, 8);
        demand(scope.length == 5 && scope[1].equals(day) && scope[2].equals(region) && scope[3].equals(SERVICE)
                && scope[4].equals("aws4_request"), "its scope is " + query.get("X-Amz-Credential"));
        Object secret = options.get("key_" + scope[0]);
        demand(secret != null, "access key " + scope[0] + " is not known");

        String canonical = query.entrySet().stream()
                .map(entry -> encode(entry.getKey()) + "=" + encode(entry.getValue()))
                .sorted()
                .collect(Collectors.joining("&"));
        String request = String.join("\n", "GET", "/", canonical, "host:" + url.getHost(), "", "host", EMPTY_BODY);
        String toSign = String.join("\n", "AWS4-HMAC-SHA256", query.get("X-Amz-Date"),
                day + "/" + region + "/" + SERVICE + "/aws4_request", hex(sha256(request)));
        byte[] key = ("AWS4" + secret).getBytes(StandardCharsets.UTF_8);
        for (String part : List.of(day, region, SERVICE, "aws4_request")) {
            key = hmac(key, part);
        }
        byte[] expected = hex(hmac(key, toSign)).getBytes(StandardCharsets.US_ASCII);
        demand(MessageDigest.isEqual(expected, signature.getBytes(StandardCharsets.US_ASCII)), "its signature is another");
        return new Token(value, scope[0], signed.toEpochMilli(), expires.toEpochMilli());
    }

    private record Token(String value, String principalName, Long startTimeMs, long lifetimeMs)
            implements OAuthBearerToken {
        @Override
        public Set<String> scope() {
            return Set.of();
        }
    }

    private static final class Refused extends Exception {
        private static final long serialVersionUID = 1;

        Refused(String why) {
            super(why);
        }
    }

    private static void demand(boolean holds, String otherwise) throws Refused {
        if (!holds) {
            throw new Refused(otherwise);
        }
    }

    private static String decode(String text) {
        return URLDecoder.decode(text, StandardCharsets.UTF_8);
    }

    private static String encode(String text) {
        return URLEncoder.encode(text, StandardCharsets.UTF_8)
                .replace("+", "%20")
                .replace("*", "%2A")
                .replace("%7E", "~");
    }

    private static byte[] sha256(String text) throws GeneralSecurityException {
        return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
    }

    private static byte[] hmac(byte[] key, String text) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String hex(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }
}
