/* transact: request and response, one after the other, with the whole distribution of their times.
 *
 *   transact server PROTOCOL ADDRESS PORT REQUEST_BYTES RESPONSE_BYTES CONNECTIONS
 *   transact client PROTOCOL ADDRESS PORT REQUEST_BYTES RESPONSE_BYTES CONNECTIONS \
 *            OMIT_S DURATION_S RATE_PER_S
 *
 * PROTOCOL is tcp or udp; ADDRESS is the server's, 0.0.0.0 or :: for any of its own. CONNECTIONS is `one` for all transactions, or `each` for a new one each
 * time (tcp only): connect, request, response, and the server's end of the connection, so that the
 * socket that waits for stray packets (RFC 9293, TIME-WAIT) is the server's and the client never runs
 * out of ports. RATE_PER_S paces requests; 0 sends the next when the answer is there. A paced request
 * that has to wait for the answer before it counts from when it was due, or the worst of the network
 * would hide itself (coordinated omission); one that does not counts from when it is sent, or the timer
 * would be measured. After a datagram that was lost the pace begins anew: what was due meanwhile is not
 * sent, or the tail would be that of the time after which an answer counts as lost.
 *
 * The client prints JSON, a line an event: start, interval, window (its edges, for whoever reads
 * counters meanwhile), end or error. Times are of CLOCK_MONOTONIC; a latency is that of one whole
 * transaction. Buckets are exact below 256 ns, then 128 to each power of two: less than 0.8 % wide, and
 * the same in every run, so that histograms of several runs add up.
 *
 * No setting has a default. Status: 0 after the end event, 1 if the network failed, 2 for a wrong call.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define VERSION "1"
#define SECOND 1000000000ULL
#define BYTES_MAX 65507    /* what fits a datagram of IPv4 */
#define STALL_S 10         /* TCP without a byte for so long is an error */
#define LOST_AFTER_S 1     /* a datagram's answer that does not come for so long is lost */
#define BACKLOG 128
#define SUB_BITS 7
#define BUCKETS ((64 - SUB_BITS + 1) << SUB_BITS)

struct call {
    bool is_client, is_udp, is_each;
    uint16_t port;
    const char *address;
    size_t request_bytes, response_bytes;
    uint64_t omit_s, duration_s, rate_per_s;
};

/* An address with its port, of either family. */
struct end {
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    };
    socklen_t length;
};

struct tally {
    uint64_t count, lost, min_ns, max_ns, buckets[BUCKETS];
    double mean_ns, squares; /* Welford's running mean and sum of squares */
};

static char buffer[BYTES_MAX + 1];

static _Noreturn void fail(int status, const char *format, ...) {
    char text[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("{\"event\":\"error\",\"message\":\"%s\"}\n", text); /* none of ours has a quote in it */
    fflush(stdout);
    fprintf(stderr, "transact: %s\n", text);
    exit(status);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static unsigned bucket_of(uint64_t ns) {
    unsigned shift = ns >> (SUB_BITS + 1) ? 63 - SUB_BITS - (unsigned)__builtin_clzll(ns) : 0;
    return (unsigned)(((uint64_t)shift << SUB_BITS) + (ns >> shift));
}

/* Lower edge of a bucket; its upper edge is the lower one of the next. */
static uint64_t low_ns(unsigned bucket) {
    unsigned shift = bucket >> (SUB_BITS + 1) ? (bucket >> SUB_BITS) - 1 : 0;
    return ((uint64_t)bucket - ((uint64_t)shift << SUB_BITS)) << shift;
}

static void add(struct tally *tally, uint64_t ns) {
    double from_mean = (double)ns - tally->mean_ns;
    tally->count++;
    tally->mean_ns += from_mean / (double)tally->count;
    tally->squares += from_mean * ((double)ns - tally->mean_ns);
    if (ns < tally->min_ns || tally->count == 1) tally->min_ns = ns;
    if (ns > tally->max_ns) tally->max_ns = ns;
    tally->buckets[bucket_of(ns)]++;
}

static void set(int fd, int level, int option, int value, const char *name) {
    if (setsockopt(fd, level, option, &value, sizeof value)) fail(1, "%s: %s", name, strerror(errno));
}

static void give_up_after(int fd, int seconds) {
    struct timeval limit = {.tv_sec = seconds};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit)
        || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit))
        fail(1, "socket timeout: %s", strerror(errno));
}

static struct end end_of(const struct call *call) {
    struct end end = {.length = sizeof end.six};
    end.six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(call->port)};
    if (inet_pton(AF_INET6, call->address, &end.six.sin6_addr) == 1) return end;
    end.length = sizeof end.four;
    end.four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(call->port)};
    if (inet_pton(AF_INET, call->address, &end.four.sin_addr) != 1)
        fail(2, "%s is no address of IPv4 or IPv6; names are not looked up", call->address);
    return end;
}

/* All of a message of a stream; false at its end. */
static bool get(int fd, size_t bytes) {
    ssize_t got = recv(fd, buffer, bytes, MSG_WAITALL);
    if (got < 0) fail(1, "receive: %s", errno == EAGAIN ? "no answer for 10 s" : strerror(errno));
    if (got && (size_t)got < bytes) fail(1, "the connection ended in the middle of a message");
    return got > 0;
}

static void put(int fd, size_t bytes) {
    if (send(fd, buffer, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) fail(1, "send: %s", strerror(errno));
}

/* ---------- server */

static int bound(const struct call *call, int type) {
    struct end own = end_of(call);
    int fd = socket(own.any.sa_family, type, 0);
    if (fd < 0) fail(1, "socket: %s", strerror(errno));
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
    if (bind(fd, &own.any, own.length)) fail(1, "port %u: %s", call->port, strerror(errno));
    if (type == SOCK_STREAM && listen(fd, BACKLOG)) fail(1, "listen: %s", strerror(errno));
    return fd;
}

static _Noreturn void answer_datagrams(const struct call *call, int fd) {
    struct sockaddr_storage from;
    for (;;) {
        socklen_t length = sizeof from;
        ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &length);
        if (got != (ssize_t)call->request_bytes) continue; /* not one of ours */
        sendto(fd, buffer, call->response_bytes, 0, (struct sockaddr *)&from, length);
    }
}

static _Noreturn void answer_connections(const struct call *call, int listening) {
    for (;;) {
        int fd = accept(listening, NULL, NULL);
        if (fd < 0) continue;
        set(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
        while (recv(fd, buffer, call->request_bytes, MSG_WAITALL) == (ssize_t)call->request_bytes) {
            if (send(fd, buffer, call->response_bytes, MSG_NOSIGNAL) < 0 || call->is_each) break;
        }
        close(fd);
    }
}

/* Who waits for the port looks at TCP, so that is opened last, and always. */
static _Noreturn void serve(const struct call *call) {
    int datagrams = call->is_udp ? bound(call, SOCK_DGRAM) : -1, listening = bound(call, SOCK_STREAM);
    if (call->is_udp) answer_datagrams(call, datagrams);
    answer_connections(call, listening);
}

/* ---------- client */

static int connected(const struct call *call, const struct end *to) {
    int fd = socket(to->any.sa_family, call->is_udp ? SOCK_DGRAM : SOCK_STREAM, 0);
    if (fd < 0) fail(1, "socket: %s", strerror(errno));
    give_up_after(fd, call->is_udp ? LOST_AFTER_S : STALL_S);
    if (!call->is_udp) set(fd, IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
    if (connect(fd, &to->any, to->length)) fail(1, "connect: %s", strerror(errno));
    return fd;
}

/* One datagram there and back; false if it was lost. Answers carry what the request began with, so that
 * one which comes late is not taken for the next. */
static bool exchange_datagrams(const struct call *call, int fd, uint32_t number) {
    size_t both = call->request_bytes < call->response_bytes ? call->request_bytes : call->response_bytes;
    size_t marked = both < sizeof number ? both : sizeof number;
    memcpy(buffer, &number, marked);
    put(fd, call->request_bytes);
    for (;;) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN) return false;
        if (got < 0) fail(1, "receive: %s", strerror(errno));
        if (got == (ssize_t)call->response_bytes && !memcmp(buffer, &number, marked)) return true;
    }
}

/* There and back on a connection; one of its own is then ended by the server. */
static void converse(const struct call *call, int fd) {
    put(fd, call->request_bytes);
    if (!get(fd, call->response_bytes)) fail(1, "the server ended the connection");
    if (!call->is_each) return;
    if (get(fd, 1)) fail(1, "the server said more than its response");
    close(fd);
}

static bool transact(const struct call *call, const struct end *to, int kept, uint32_t number) {
    if (call->is_udp) return exchange_datagrams(call, kept, number);
    converse(call, call->is_each ? connected(call, to) : kept);
    return true;
}

static void print_end_point(const char *key, int fd, int (*of)(int, struct sockaddr *, socklen_t *)) {
    struct end end = {.length = sizeof end.six};
    char host[INET6_ADDRSTRLEN];
    if (of(fd, &end.any, &end.length)) fail(1, "address of the socket: %s", strerror(errno));
    bool is_four = end.any.sa_family == AF_INET;
    const void *address = is_four ? (const void *)&end.four.sin_addr : &end.six.sin6_addr;
    inet_ntop(end.any.sa_family, address, host, sizeof host);
    printf("\"%s_address\":\"%s\",\"%s_port\":%u,", key, host, key,
           ntohs(is_four ? end.four.sin_port : end.six.sin6_port));
}

static void print_tcp(int fd) {
    char algorithm[16] = "";
    int mss = 0;
    socklen_t mss_length = sizeof mss, algorithm_length = sizeof algorithm - 1;
    if (getsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &mss, &mss_length)
        || getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, algorithm, &algorithm_length))
        fail(1, "state of the connection: %s", strerror(errno));
    printf("\"mss_bytes\":%d,\"congestion_control\":\"%s\",", mss, algorithm);
}

static int buffer_bytes(int fd, int option) {
    int bytes = 0;
    socklen_t length = sizeof bytes;
    getsockopt(fd, SOL_SOCKET, option, &bytes, &length);
    return bytes;
}

static void print_start(const struct call *call, int fd) {
    struct timespec date;
    clock_gettime(CLOCK_REALTIME, &date);
    printf("{\"event\":\"start\",\"version\":\"%s\",\"protocol\":\"%s\",\"connections\":\"%s\",", VERSION,
           call->is_udp ? "udp" : "tcp", call->is_each ? "each" : "one");
    printf("\"request_bytes\":%zu,\"response_bytes\":%zu,\"omit_s\":%lu,\"duration_s\":%lu,"
           "\"rate_per_s\":%lu,", call->request_bytes, call->response_bytes, call->omit_s,
           call->duration_s, call->rate_per_s);
    print_end_point("client", fd, getsockname);
    print_end_point("server", fd, getpeername);
    if (!call->is_udp) print_tcp(fd);
    printf("\"send_buffer_bytes\":%d,\"receive_buffer_bytes\":%d,", buffer_bytes(fd, SO_SNDBUF),
           buffer_bytes(fd, SO_RCVBUF));
    printf("\"started_utc_s\":%ld.%06ld}\n", date.tv_sec, date.tv_nsec / 1000);
}

static void print_edge(const char *edge) {
    printf("{\"event\":\"window\",\"edge\":\"%s\"}\n", edge);
    fflush(stdout);
}

static void print_interval(uint64_t from_ns, uint64_t to_ns, uint64_t count, bool is_omitted) {
    printf("{\"event\":\"interval\",\"omitted\":%s,\"start_s\":%.6f,\"end_s\":%.6f,"
           "\"transactions\":%lu}\n", is_omitted ? "true" : "false", (double)from_ns / SECOND,
           (double)to_ns / SECOND, count);
    fflush(stdout);
}

static void print_end(const struct tally *tally, uint64_t window_ns) {
    const char *separator = "";
    double spread_ns = tally->count > 1 ? sqrt(tally->squares / (double)(tally->count - 1)) : 0;
    printf("{\"event\":\"end\",\"seconds\":%.6f,\"transactions\":%lu,\"lost\":%lu,",
           (double)window_ns / SECOND, tally->count, tally->lost);
    printf("\"latency_ns\":{\"min\":%lu,\"mean\":%.1f,\"max\":%lu,\"stddev\":%.1f},\"histogram\":[",
           tally->min_ns, tally->mean_ns, tally->max_ns, spread_ns);
    for (unsigned i = 0; i < BUCKETS; i++) {
        if (!tally->buckets[i]) continue;
        printf("%s[%lu,%lu,%lu]", separator, low_ns(i), low_ns(i + 1), tally->buckets[i]);
        separator = ",";
    }
    printf("]}\n");
    fflush(stdout);
}

static void sleep_until(uint64_t ns) {
    struct timespec until = {.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {}
}

/* Transactions for so many seconds, an interval event for each second. A transaction belongs to where it
 * ends. Returns the time that it really took. */
static uint64_t run(const struct call *call, const struct end *to, int fd, uint64_t seconds,
                    struct tally *tally, bool is_omitted) {
    static uint32_t number;
    uint64_t began = now_ns(), over = began + seconds * SECOND, reported = began, ended, in_interval = 0;
    uint64_t step = call->rate_per_s ? SECOND / call->rate_per_s : 0, due = began;
    do {
        bool is_late = step && now_ns() >= due && due > began;
        if (step && !is_late) sleep_until(due < over ? due : over);
        if (step && due >= over) {
            ended = now_ns(); /* nothing is due any more */
        } else {
            uint64_t from = is_late ? due : now_ns();
            bool is_answered = transact(call, to, fd, number++);
            ended = now_ns();
            due = is_answered ? due + step : ended + step;
            if (is_answered) {
                in_interval++;
                add(tally, ended - from);
            } else {
                tally->lost++;
            }
        }
        if (ended >= over || ended - reported >= SECOND) {
            print_interval(reported - began, ended - began, in_interval, is_omitted);
            reported = ended;
            in_interval = 0;
        }
    } while (ended < over);
    return ended - began;
}

static void measure(const struct call *call) {
    static struct tally left_out, tally;
    const struct end to = end_of(call);
    int fd = connected(call, &to);
    print_start(call, fd);
    if (call->is_each) converse(call, fd); /* It has told the addresses. */
    prctl(PR_SET_TIMERSLACK, 1UL);
    if (call->omit_s) run(call, &to, fd, call->omit_s, &left_out, true);
    print_edge("start");
    uint64_t window_ns = run(call, &to, fd, call->duration_s, &tally, false);
    print_edge("end");
    print_end(&tally, window_ns);
}

/* ---------- the call */

static uint64_t number_of(const char *name, const char *text, uint64_t min, uint64_t max) {
    char *rest;
    errno = 0;
    unsigned long long value = strtoull(text, &rest, 10);
    if (errno || *rest || text[0] < '0' || text[0] > '9' || value < min || value > max)
        fail(2, "%s is %s, must be a whole number from %lu to %lu", name, text, min, max);
    return value;
}

static bool is_second(const char *name, const char *text, const char *first, const char *second) {
    if (strcmp(text, first) && strcmp(text, second))
        fail(2, "%s is %s, must be %s or %s", name, text, first, second);
    return !strcmp(text, second);
}

int main(int count, char **words) {
    struct call call = {0};
    if (count == 2 && !strcmp(words[1], "--version")) {
        puts("transact " VERSION);
        return 0;
    }
    if (count != 8 && count != 11) fail(2, "a server has 7 words, a client 10, see transact.c");
    call.is_client = is_second("role", words[1], "server", "client");
    if (call.is_client != (count == 11)) fail(2, "a server has 7 words, a client 10");
    call.is_udp = is_second("protocol", words[2], "tcp", "udp");
    call.address = words[3];
    call.port = (uint16_t)number_of("port", words[4], 1, 65535);
    call.request_bytes = number_of("request bytes", words[5], 1, BYTES_MAX);
    call.response_bytes = number_of("response bytes", words[6], 1, BYTES_MAX);
    call.is_each = is_second("connections", words[7], "one", "each");
    if (call.is_udp && call.is_each) fail(2, "udp has no connections, so no new one each time");
    if (!call.is_client) serve(&call);
    call.omit_s = number_of("seconds to omit", words[8], 0, 3600);
    call.duration_s = number_of("seconds", words[9], 1, 86400);
    call.rate_per_s = number_of("rate per second", words[10], 0, 1000000);
    measure(&call);
    return 0;
}
