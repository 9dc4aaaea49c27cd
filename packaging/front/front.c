/* The front door, a small program in C: it answers a `get` for which the cache has a fresh token.
 *
 * It computes the key that tokens/identity.py and tokens/cache.py in ecr_credential_helper compute,
 * reads the cache entry with the same checks as system/files.py, and prints what verbs.get prints.
 * For any other request, and in every case of doubt, the Python program takes its place, with the
 * same stdin. It never makes or writes a file, reads settings or uses the network; of the entry
 * that it answers from, it sets the time of access once an hour.
 * tests/packaging/test_front.py checks that both programs give the same answers.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#ifndef __linux__
#error "the places of cache and settings are those of Linux"
#endif

#define NAME "ecr-credential-helper"
#define EXECUTABLE "docker-credential-ecr"
#define DIGITS "0123456789"
#define HEX DIGITS "abcdef"
#define PRIME ((UINT64_C(1) << 56) - 5)
#define MIXER UINT64_C(0x9E3779B97F4A7C15)
#define SECOND INT64_C(1000000000)

enum {
    URL_LIMIT = 64 * 1024,
    ENTRY_LIMIT = 256 * 1024,
    HOST_LIMIT = 253,
    LABEL_LIMIT = 63,
    DIGEST_SIZE = 14,
    VARIABLES = 1024,
};

static const double LAST_SECONDS = 60, USE_IS_NOTED = 3600;

/* Text that grows in a buffer of fixed size. It becomes "spoilt" if something does not fit, or in a
 * case that only the Python program handles. */
struct text {
    char *bytes;
    size_t room, size;
    bool spoilt;
};

#define TEXT(buffer) {(buffer), sizeof(buffer) - 1, 0, false}

static void put(struct text *to, const char *bytes, size_t size)
{
    if (to->spoilt || size > to->room - to->size) {
        to->spoilt = true;
        return;
    }
    memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
    to->bytes[to->size] = '\0';
}

static void put_string(struct text *to, const char *string)
{
    put(to, string, strlen(string));
}

static void put_number(struct text *to, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = DIGITS[number % 10];
    while (number /= 10);
    put(to, digits + at, sizeof digits - at);
}

static void put_escaped(struct text *to, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\\')
            put_string(to, "\\\\");
        else if (bytes[i] == '\n')
            put_string(to, "\\n");
        else
            put(to, bytes + i, 1);
    }
}

/* The bytes as one large number, modulo PRIME. */
static uint64_t digest_of(const char *bytes, size_t size)
{
    uint64_t rest = 0;
    for (size_t i = 0; i < size; i++)
        rest = (rest << 8 | (unsigned char)bytes[i]) % PRIME;
    return rest;
}

/* A digest in hexadecimal. */
static void put_digest(struct text *to, uint64_t digest)
{
    for (int shift = 4 * (DIGEST_SIZE - 1); shift >= 0; shift -= 4)
        put(to, &HEX[digest >> shift & 15], 1);
}

/* The value of a variable, or NULL; an empty one counts as unset. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The home directory without trailing slashes; /dev/null means that there is none. */
static void put_home(struct text *to)
{
    const char *home = getenv("HOME");
    if (!home || *home != '/' || !strcmp(home, "/dev/null")) {
        to->spoilt = true;
        return;
    }
    size_t size = strlen(home);
    while (size && home[size - 1] == '/')
        size--;
    put(to, home, size);
}

/* A path with ~ expanded; other users' homes are left to the Python program. */
static void put_path(struct text *to, const char *path)
{
    if (*path != '~') {
        put_string(to, path);
        return;
    }
    if (path[1] && path[1] != '/')
        to->spoilt = true;
    put_home(to);
    put_string(to, path + 1);
    if (!to->size)
        put_string(to, "/");
}

/* Our directory below an XDG directory; a relative one is ignored. */
static void put_directory(struct text *to, const char *name, const char *otherwise)
{
    const char *base = variable(name);
    if (base && *base == '/')
        put_string(to, base);
    else {
        put_home(to);
        put_string(to, otherwise);
    }
    if (to->size && to->bytes[to->size - 1] != '/')
        put_string(to, "/");
    put_string(to, NAME);
}

/* tokens/identity.py: current(), line by line. */

static void put_machine(struct text *key)
{
    struct utsname name;
    char id[64];
    ssize_t size = 0;
    int file = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        size = read(file, id, sizeof id);
        close(file);
    }
    if (uname(&name) || size < 0 || (file < 0 && errno != ENOENT)) {
        key->spoilt = true;
        return;
    }
    size_t start = 0, end = (size_t)size;
    while (end && strchr(" \t\n\v\f\r", id[end - 1]) && id[end - 1])
        end--;
    while (start < end && strchr(" \t\n\v\f\r", id[start]) && id[start])
        start++;
    put_string(key, "machine ");
    put_escaped(key, name.nodename, strlen(name.nodename));
    put_string(key, " ");
    put_escaped(key, id + start, end - start);
    put_string(key, start == end ? "-\n" : "\n");
}

static void put_time(struct text *key, struct timespec time)
{
    if (time.tv_sec < 0 || time.tv_sec > INT64_MAX / SECOND - 1) {
        key->spoilt = true;
        return;
    }
    put_string(key, " ");
    put_number(key, (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec);
}

/* The line of one file: its path, and those values of stat() that change when the file changes. */
static void put_file(struct text *key, const struct text *path)
{
    struct stat at;
    if (path->spoilt)
        key->spoilt = true;
    if (key->spoilt)
        return;
    put_string(key, "file ");
    put_escaped(key, path->bytes, path->size);
    put_string(key, " ");
    if (stat(path->bytes, &at)) {
        if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
            key->spoilt = true;
        put_string(key, "-\n");
        return;
    }
    put_number(key, at.st_dev);
    put_string(key, " ");
    put_number(key, at.st_ino);
    put_string(key, " ");
    put_number(key, (uint64_t)at.st_size);
    put_time(key, at.st_mtim);
    put_time(key, at.st_ctim);
    put_string(key, "\n");
}

/* The line of the file that a variable names, or else of `otherwise`; NULL means no file. */
static void put_named_file(struct text *key, const char *name, const char *otherwise)
{
    char buffer[PATH_MAX];
    struct text path = TEXT(buffer);
    const char *chosen = variable(name);
    if (!chosen)
        chosen = otherwise;
    if (!chosen)
        return;
    if (strchr(chosen, '$')) /* it may have to be expanded */
        path.spoilt = true;
    put_path(&path, chosen);
    put_file(key, &path);
}

static void put_files(struct text *key)
{
    put_named_file(key, "AWS_CONFIG_FILE", "~/.aws/config");
    put_named_file(key, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials");
    if (variable("AWS_ECR_CONFIG_FILE"))
        put_named_file(key, "AWS_ECR_CONFIG_FILE", NULL);
    else {
        char buffer[PATH_MAX];
        struct text path = TEXT(buffer);
        put_directory(&path, "XDG_CONFIG_HOME", "/.config");
        put_string(&path, "/config.toml");
        put_file(key, &path);
    }
    put_named_file(key, "BOTO_CONFIG", "/etc/boto.cfg");
    if (!variable("BOTO_CONFIG"))
        put_named_file(key, "", "~/.boto");
    put_named_file(key, "AWS_CREDENTIAL_FILE", NULL);
}

/* system/environment.py and tokens/identity.py: whether the variable in `pair` can change the
 * principal, and is not a secret. docs/identity.md has the reasons. */
static bool tells(const char *pair)
{
    static const char *const harmless[] = {
        /* In which region STS is asked, for the same role. */
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_SIGV4A_SIGNING_REGION_SET",
        "AWS_SSO_DEFAULT_REGION",
        "AWS_STS_REGIONAL_ENDPOINTS",
        /* How a request is sent, and how often. */
        "AWS_DEFAULTS_MODE",
        "AWS_DISABLE_REQUEST_COMPRESSION",
        "AWS_MAX_ATTEMPTS",
        "AWS_METADATA_SERVICE_NUM_ATTEMPTS",
        "AWS_METADATA_SERVICE_TIMEOUT",
        "AWS_NEW_RETRIES_2026",
        "AWS_REQUEST_CHECKSUM_CALCULATION",
        "AWS_REQUEST_MIN_COMPRESSION_SIZE_BYTES",
        "AWS_RESPONSE_CHECKSUM_VALIDATION",
        "AWS_RETRY_MODE",
        /* When the credentials end. */
        "AWS_ASSUME_ROLE_TTL",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_SESSION_EXPIRATION",
        "AWS_SESSION_TTL",
        "AWS_SSO_SESSION_EXPIRATION",
        /* Who is told of a request, and what a program says that it is. */
        "AWS_CSM_CLIENT_ID",
        "AWS_CSM_ENABLED",
        "AWS_CSM_HOST",
        "AWS_CSM_PORT",
        "AWS_EXECUTION_ENV",
        "AWS_SDK_UA_APP_ID",
        "AWS_TOOLING_USER_AGENT",
        /* What the AWS CLI prints. */
        "AWS_DEFAULT_OUTPUT",
        "AWS_PAGER",
        /* Where a program runs. */
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_SAM_LOCAL",
        /* Other services, other SDKs. */
        "AWS_CBOR_DISABLE",
        "AWS_JAVA_V1_DISABLE_DEPRECATION_ANNOUNCEMENT",
        "AWS_JAVA_V1_PRINT_LOCATION",
        "AWS_NODEJS_CONNECTION_REUSE_ENABLED",
        "AWS_S3_DISABLE_EXPRESS_SESSION_AUTH",
        "AWS_S3_DISABLE_MULTIREGION_ACCESS_POINTS",
        "AWS_S3_USE_ARN_REGION",
        "AWS_S3_US_EAST_1_REGIONAL_ENDPOINT",
        "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED",
        "AWS_SDK_JS_SUPPRESS_MAINTENANCE_MODE_MESSAGE",
        "AWS_SDK_LOAD_CONFIG",
    };
    static const char *const prefixes[] = {"AWS_BATCH_", "AWS_CLI_", "AWS_ECR_", "AWS_XRAY_"};
    static const char *const secret[] = {"SECRET", "TOKEN", "PASS"};
    size_t size = strcspn(pair, "=");
    if (!pair[size] || strncmp(pair, "AWS_", 4))
        return false;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (!strncmp(pair, prefixes[i], strlen(prefixes[i])))
            return false;
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (strlen(harmless[i]) == size && !memcmp(pair, harmless[i], size))
            return false;
    if (size > 4 && !memcmp(pair + size - 5, "_FILE", 5))
        return true;
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
        if (memmem(pair, size, secret[i], strlen(secret[i])))
            return false;
    return true;
}

static int compare(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void put_variables(struct text *key)
{
    const char *pairs[VARIABLES];
    size_t count = 0;
    for (char **pair = environ; pair && *pair; pair++) {
        if (!tells(*pair))
            continue;
        if (count == VARIABLES) {
            key->spoilt = true;
            return;
        }
        pairs[count++] = *pair;
    }
    qsort(pairs, count, sizeof *pairs, compare);
    for (size_t i = 0; i < count; i++) {
        size_t name = strcspn(pairs[i], "=") + 1;
        if (i && !strncmp(pairs[i - 1], pairs[i], name)) /* set twice: unclear which counts */
            key->spoilt = true;
        if (!pairs[i][name])
            continue;
        put_string(key, "variable ");
        put_escaped(key, pairs[i], strlen(pairs[i]));
        put_string(key, "\n");
    }
}

/* protocol.py and registry.py: what a client sent, and the host in it. */

/* Remove one line ending, then spaces at both ends; false if the rest is not printable ASCII, or
 * has an at sign, a backslash or a quote. */
static bool trim(struct text *url)
{
    if (url->size && url->bytes[url->size - 1] == '\n') {
        url->size--;
        if (url->size && url->bytes[url->size - 1] == '\r')
            url->size--;
    }
    while (url->size && url->bytes[url->size - 1] == ' ')
        url->size--;
    while (url->size && *url->bytes == ' ') {
        url->bytes++;
        url->room--;
        url->size--;
    }
    url->bytes[url->size] = '\0';
    for (size_t i = 0; i < url->size; i++)
        if (url->bytes[i] < ' ' || url->bytes[i] > '~' || strchr("@\\\"", url->bytes[i]))
            return false;
    return true;
}

/* The host of a server URL in lower case; spoilt where registry.host_of says None. */
static void put_host(struct text *to, const char *url)
{
    const char *host = strstr(url, "://");
    if (host && memchr(url, '/', (size_t)(host - url)))
        host = NULL; /* it is part of the path */
    size_t scheme = host ? (size_t)(host - url) : 0;
    if (host && !(scheme == 4 && !strncasecmp(url, "http", 4)) &&
        !(scheme == 5 && !strncasecmp(url, "https", 5)))
        to->spoilt = true;
    host = host ? host + 3 : url;
    size_t size = strcspn(host, "/:");
    if (host[size] == ':') {
        const char *port = host + size + 1;
        size_t digits = strspn(port, DIGITS);
        if (!digits || digits > 5 || strtol(port, NULL, 10) > 65535 ||
            (port[digits] && port[digits] != '/'))
            to->spoilt = true;
    }
    if (size && host[size - 1] == '.')
        size--;
    size_t label = 0;
    for (size_t i = 0; i < size; i++) {
        char c = host[i];
        bool dash = c == '-';
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool dot = c == '.' && label && host[i - 1] != '-';
        label = dot ? 0 : label + 1;
        if (!(letter || dot || (dash && label > 1)) || label > LABEL_LIMIT)
            to->spoilt = true;
        put(to, &c, 1);
    }
    if (!label || host[size - 1] == '-')
        to->spoilt = true;
}

/* system/files.py and tokens/cache.py: the cache entry, its format and its time. */

/* Whether we own a file and nobody else has access to it. */
static bool trusted(int file, struct stat *at)
{
    return file >= 0 && !fstat(file, at) && at->st_uid == geteuid() &&
           !(at->st_mode & (S_IRWXG | S_IRWXO));
}

/* Read an entry; its file stays open, and is -1 if there is none. `at` is what it was before. */
static int put_entry(struct text *to, const char *path, const char *name, struct stat *at)
{
    int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, file = -1;
    int directory = open(path, flags | O_DIRECTORY);
    if (trusted(directory, at))
        file = openat(directory, name, flags);
    ssize_t size = -1;
    if (trusted(file, at) && S_ISREG(at->st_mode) && at->st_size <= ENTRY_LIMIT)
        size = read(file, to->bytes, to->room);
    if (size < 0)
        to->spoilt = true;
    else
        to->bytes[to->size = (size_t)size] = '\0';
    if (directory >= 0)
        close(directory);
    return file;
}

/* Set the time of access of an entry that is served, unless it is right to within an hour. If that
 * fails, the entry only seems to be used less. */
static void note_use(int file, const struct stat *at, double now)
{
    double past = now - (double)at->st_atim.tv_sec;
    struct timespec times[] = {{.tv_sec = (time_t)now}, {.tv_nsec = UTIME_OMIT}};
    if (past > USE_IS_NOTED || past < -USE_IS_NOTED)
        (void)!futimens(file, times);
}

/* Step over `expected`; false if the text at this place is something else. */
static bool step(const char **at, const char *expected)
{
    size_t size = strlen(expected);
    if (strncmp(*at, expected, size))
        return false;
    *at += size;
    return true;
}

/* Step over a line with a number in it, written as Python writes it. */
static bool step_seconds(const char **at, const char *name, int64_t *seconds)
{
    if (!step(at, name))
        return false;
    size_t digits = strspn(*at, DIGITS);
    if (!digits || digits > 12 || (**at == '0' && digits > 1))
        return false;
    *seconds = strtoll(*at, NULL, 10);
    *at += digits;
    return step(at, "\n");
}

/* Whether `now` is in the first half of a token's lifetime, or up to five eighths: its key decides
 * where in between. The same arithmetic as in tokens/cache.py, so that the result is always the
 * same. */
static bool fresh(int64_t issued, int64_t expires, uint64_t key_digest, double now)
{
    double left = (double)expires - now, life = (double)(expires - issued);
    uint64_t mixed = (key_digest ^ key_digest >> 28) * MIXER;
    double spread = (double)(mixed >> 48) / 65536;
    return (double)issued <= now && left > LAST_SECONDS && left > life * (4 - spread) / 8;
}

/* The token of an entry, if it is exactly what cache.encode writes for `key`, and fresh. */
static void put_token(struct text *to, const struct text *entry, const struct text *key,
                      uint64_t key_digest, double now)
{
    char buffer[DIGEST_SIZE + 1];
    struct text digest = TEXT(buffer);
    int64_t issued, expires;
    bool room = !to->spoilt;
    to->spoilt = true;
    if (entry->spoilt || entry->size < key->size || memcmp(entry->bytes, key->bytes, key->size))
        return;
    const char *at = entry->bytes + key->size;
    for (const char *c = at; c < entry->bytes + entry->size; c++)
        if ((*c < ' ' && *c != '\n') || *c > '~' || *c == '"' || *c == '\\')
            return;
    if (!step_seconds(&at, "issued ", &issued) || !step_seconds(&at, "expires ", &expires) ||
        !step(&at, "source "))
        return;
    at += strcspn(at, "\n");
    if (!step(&at, "\ntoken "))
        return;
    const char *token = at;
    at += strcspn(at, "\n");
    size_t size = (size_t)(at - token);
    if (!size || !step(&at, "\n"))
        return;
    put_digest(&digest, digest_of(entry->bytes, (size_t)(at - entry->bytes)));
    if (!step(&at, "check ") || !step(&at, digest.bytes) || !step(&at, "\n") ||
        at != entry->bytes + entry->size || !fresh(issued, expires, key_digest, now))
        return;
    to->spoilt = !room;
    put(to, token, size);
}

/* The answer of `get` to what a client sent; spoilt if the Python program has to answer. */
static void put_answer(struct text *to, const struct text *request, double now)
{
    static char url_buffer[URL_LIMIT + 1], key_buffer[ENTRY_LIMIT], entry_buffer[ENTRY_LIMIT + 2];
    char path_buffer[PATH_MAX], name_buffer[HOST_LIMIT + 1 + DIGEST_SIZE + 1];
    struct text url = TEXT(url_buffer), key = TEXT(key_buffer), entry = TEXT(entry_buffer);
    struct text path = TEXT(path_buffer), name = TEXT(name_buffer);
    struct stat at;

    to->spoilt = true;
    put(&url, request->bytes, request->size);
    if (url.spoilt || !trim(&url) || variable("AWS_ECR_DISABLE_CACHE") ||
        variable("AWS_ECR_LOG_FILE") || getenv("ANDROID_DATA"))
        return;

    name.room = HOST_LIMIT;
    put_host(&name, url.bytes);
    name.room = sizeof name_buffer - 1;
    put_string(&key, NAME " cache 1\nhost ");
    put(&key, name.bytes, name.size);
    put_string(&key, "\n");
    put_machine(&key);
    put_files(&key);
    put_variables(&key);
    put_string(&key, "\n");
    put_string(&name, ".");
    uint64_t key_digest = digest_of(key.bytes, key.size);
    put_digest(&name, key_digest);

    if (variable("AWS_ECR_CACHE_DIR"))
        put_path(&path, variable("AWS_ECR_CACHE_DIR"));
    else
        put_directory(&path, "XDG_CACHE_HOME", "/.cache");
    while (path.size > 1 && path.bytes[path.size - 1] == '/') /* it would make a link followed */
        path.bytes[--path.size] = '\0';
    if (key.spoilt || name.spoilt || path.spoilt)
        return;

    int file = put_entry(&entry, path.bytes, name.bytes, &at);
    to->spoilt = false;
    put_string(to, "{\"ServerURL\":\"");
    put(to, url.bytes, url.size);
    put_string(to, "\",\"Username\":\"AWS\",\"Secret\":\"");
    put_token(to, &entry, &key, key_digest, now);
    put_string(to, "\"}\n");
    if (!to->spoilt)
        note_use(file, &at, now);
    if (file >= 0)
        close(file);
}

/* The process: its streams, and starting the Python program in its place. */

/* Wait until a stream is ready: it may be non-blocking, as its owner's event loop made it. */
static void wait_for(int stream, short event)
{
    struct pollfd wanted = {.fd = stream, .events = event};
    poll(&wanted, 1, -1);
}

/* Write all of it; false on an error, such as when nobody reads it any more. */
static bool write_all(int stream, const char *bytes, size_t size)
{
    while (size) {
        ssize_t written = write(stream, bytes, size);
        if (written < 0 && errno == EAGAIN)
            wait_for(stream, POLLOUT);
        else if (written < 0 && errno != EINTR)
            return false;
        if (written > 0) {
            bytes += written;
            size -= (size_t)written;
        }
    }
    return true;
}

/* Read stdin to its end and keep as much as the Python program would look at: one byte more than
 * the longest server URL. False, with errno, if it cannot be read. */
static bool read_request(struct text *request)
{
    char chunk[4096];
    for (;;) {
        ssize_t size = read(0, chunk, sizeof chunk);
        if (size < 0 && errno == EAGAIN)
            wait_for(0, POLLIN);
        if (size < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (size <= 0)
            return !size;
        size_t room = request->room - request->size;
        put(request, chunk, (size_t)size < room ? (size_t)size : room);
    }
}

/* Make what was read from stdin readable there again, through a pipe; if it may not fit into the
 * pipe, a child process writes it. */
static bool put_back(const struct text *request)
{
    int ends[2];
    if (pipe(ends))
        return false;
    pid_t child = request->size > PIPE_BUF ? fork() : getpid();
    if (child < 0 || (request->size <= PIPE_BUF && !write_all(ends[1], request->bytes, request->size)))
        return false;
    if (!child) {
        close(ends[0]);
        _exit(!write_all(ends[1], request->bytes, request->size));
    }
    bool moved = dup2(ends[0], 0) == 0;
    close(ends[0]);
    close(ends[1]);
    return moved;
}

#ifdef PROGRAM /* a program of an installed Python */

/* Become that program, or return its path, with errno. */
static const char *start(char **argv)
{
    execv(PROGRAM, argv);
    return PROGRAM;
}

#else /* the interpreter in the directory that this executable is in */

/* Hide what would steer the directory's loader and C library, as a preloaded library made for the
 * machine's own: the first letter becomes a control character. start.py makes it a letter again,
 * so that what the program starts gets its environment as it was. The program itself has the
 * plain locale C: nothing of the machine's locales is loaded, and Python sets no variable. */
static void hide_variables(void)
{
    static const char *const hidden[] = {"LD_", "GLIBC_TUNABLES=", "LC_ALL="};
    for (char **pair = environ; pair && *pair; pair++)
        for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
            if (!strncmp(*pair, hidden[i], strlen(hidden[i])))
                **pair &= 0x1f;
    setenv("LC_ALL", "C", 1);
}

/* Put the path of a file beside this executable, links resolved; there may be no /proc. */
static void put_beside(struct text *to, const char *name)
{
    char buffer[PATH_MAX];
    const char *self = (const char *)getauxval(AT_EXECFN);
    if (!self || !realpath(self, buffer))
        to->spoilt = true;
    else
        put(to, buffer, (size_t)(strrchr(buffer, '/') - buffer) + 1);
    put_string(to, name);
}

/* Become the interpreter, or return the path of what could not be started, with errno.
 *
 * The loader is named as the program, for what lists processes, and finds the libraries from where
 * the interpreter is: a path given to it would end at a colon. */
static const char *start(char **argv)
{
    static char loader_buffer[PATH_MAX], python_buffer[PATH_MAX], script_buffer[PATH_MAX];
    char *own[] = {
        argv[0], "--inhibit-cache", "--library-path", "$ORIGIN/lib", python_buffer, "-I", "-X", "utf8",
        script_buffer,
    };
    struct text loader = TEXT(loader_buffer), python = TEXT(python_buffer);
    struct text script = TEXT(script_buffer);
    size_t count = sizeof own / sizeof *own, given = 0;

    put_beside(&loader, "program/" EXECUTABLE);
    put_beside(&python, "program/python3");
    put_beside(&script, "program/start.pyc");
    while (argv[given])
        given++;
    char **command = calloc(count + given + 1, sizeof *command);
    errno = command ? ENAMETOOLONG : ENOMEM;
    if (!command || loader.spoilt || python.spoilt || script.spoilt)
        return argv[0];
    memcpy(command, own, sizeof own);
    memcpy(command + count, argv, given * sizeof *argv);
    hide_variables();
    execv(loader.bytes, command);
    return loader.bytes;
}

#endif

/* Become the Python program. If that fails, say so as in the protocol: on stdout, with status 1. */
static int hand_over(char **argv)
{
    char buffer[PATH_MAX + 512];
    struct text sorry = TEXT(buffer);
    const char *path = start(argv), *reason = strerror(errno);
    bool forbidden = errno == EACCES || errno == EPERM;
    put_string(&sorry, EXECUTABLE ": its interpreter cannot be started: ");
    put_string(&sorry, path ? path : "?");
    put_string(&sorry, ": ");
    put_string(&sorry, reason);
    put_string(&sorry, forbidden
                           ? "; is its file system mounted with noexec, or do SELinux, fapolicyd "
                             "or a seccomp profile forbid it?\n"
                           : "; install all of its directory\n");
    write_all(1, sorry.bytes, sorry.size);
    return 1;
}

int main(int argc, char **argv)
{
    static char request_buffer[URL_LIMIT + 2], answer_buffer[URL_LIMIT + ENTRY_LIMIT + 64];
    struct text request = TEXT(request_buffer), answer = TEXT(answer_buffer);
    struct timespec now;

    /* If the caller closed a stream, a file opened here would take its number: hand over. At a
     * terminal the Python program says first what to type. */
    bool get = argc == 2 && !strcmp(argv[1], "get") && !clock_gettime(CLOCK_REALTIME, &now) &&
               !isatty(0);
    for (int stream = 0; stream < 3; stream++)
        get = get && fcntl(stream, F_GETFD) >= 0;
    if (!get)
        return hand_over(argv);

    if (!read_request(&request)) {
        /* Half a request is not a request: the Python program must fail to read it, too. */
        int unreadable = request.size ? open("/dev/null", O_WRONLY | O_CLOEXEC) : 0;
        return unreadable >= 0 && dup2(unreadable, 0) == 0 ? hand_over(argv) : 1;
    }
    put_answer(&answer, &request, (double)(now.tv_sec * SECOND + now.tv_nsec) / (double)SECOND);
    if (answer.spoilt)
        return put_back(&request) ? hand_over(argv) : 1;
    signal(SIGPIPE, SIG_IGN);
    return !write_all(1, answer.bytes, answer.size);
}
