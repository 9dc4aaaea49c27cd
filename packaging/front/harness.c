/* A test harness for the front door (front.c): what it would answer, for many cases in one process.
 *
 * A case on stdin is a size (32 bits), the time (a double), the number of environment strings (32
 * bits), these strings, each with its NUL, and the bytes a client sends. The answer on stdout is a
 * size (32 bits) and that many bytes, or a size with all bits set if the Python program is to
 * answer. All numbers are in the machine's byte order. With -DFUZZER it is a target of libFuzzer
 * instead.
 */
#define main front_main
#include "front.c"
#undef main

static char answer_buffer[URL_LIMIT + ENTRY_LIMIT + 64];

#ifdef FUZZER

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Use the data as the middle or the rest of a cache entry, as a server URL and as an environment
 * variable: there is an answer only if the entry is valid, and it is one line of JSON. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char entry_buffer[ENTRY_LIMIT + 2], key_buffer[ENTRY_LIMIT], url_buffer[URL_LIMIT + 2];
    static char pair[4096 + 8], home[] = "HOME=/nonexistent";
    static char *variables[] = {pair, home, NULL};
    char prefix[] = "ecr-credential-helper cache 1\nhost a\n\n", host[HOST_LIMIT + 1];
    struct text entry = TEXT(entry_buffer), answer = TEXT(answer_buffer), url = TEXT(url_buffer);
    struct text key = {prefix, sizeof prefix - 1, sizeof prefix - 1, false}, name = TEXT(host);
    const char *bytes = (const char *)data;

    environ = variables;
    put(&entry, prefix, sizeof prefix - 1);
    if (size && *data % 2) { /* a correct checksum, so that the format before it is tested */
        put(&entry, bytes + 1, size - 1);
        char check[DIGEST_SIZE + 1];
        struct text digest = TEXT(check);
        put_digest(&digest, digest_of(entry.bytes, entry.size));
        put_string(&entry, "check ");
        put_string(&entry, check);
        put_string(&entry, "\n");
    } else if (size)
        put(&entry, bytes + 1, size - 1);
    put_token(&answer, &entry, &key, digest_of(key.bytes, key.size), 150);
    if (!answer.spoilt && (!answer.size || strpbrk(answer.bytes, "\"\\\n") ||
                           !strstr(entry.bytes, "\nissued ") || !strstr(entry.bytes, "\ntoken ")))
        abort();

    put(&url, bytes, size);
    put_answer(&answer, &url, 150); /* there is no cache */
    if (!answer.spoilt)
        abort();
    if (!url.spoilt && trim(&url)) {
        put_host(&name, url.bytes);
        if (!name.spoilt && (strspn(host, "abcdefghijklmnopqrstuvwxyz-." DIGITS) != name.size ||
                             strstr(host, "..") || strstr(host, "-.") || strstr(host, ".-")))
            abort();
    }
    if (size <= 4096) {
        memcpy(pair, "AWS_", 4);
        memcpy(pair + 4, bytes, size);
        pair[4 + size] = '\0';
        struct text identity = TEXT(key_buffer);
        put_files(&identity);
        put_variables(&identity);
        if (!identity.spoilt && strstr(identity.bytes, "\n\n"))
            abort();
    }
    return 0;
}

#else

static bool take(void *to, size_t size)
{
    for (char *at = to; size;) {
        ssize_t got = read(0, at, size);
        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

int main(void)
{
    static char buffer[1 << 20], request_buffer[URL_LIMIT + 2];
    static char *variables[2 * VARIABLES];
    uint32_t size, count;
    double now;

    while (take(&size, sizeof size) && size <= sizeof buffer && take(&now, sizeof now) &&
           take(&count, sizeof count) && count < 2 * VARIABLES && take(buffer, size)) {
        char *at = buffer;
        for (uint32_t i = 0; i < count; i++) {
            variables[i] = at;
            at += strlen(at) + 1;
        }
        variables[count] = NULL;
        environ = variables;
        struct text request = TEXT(request_buffer), answer = TEXT(answer_buffer);
        put(&request, at, (size_t)(buffer + size - at));
        put_answer(&answer, &request, now);
        uint32_t written = answer.spoilt ? UINT32_MAX : (uint32_t)answer.size;
        if (!write_all(1, (const char *)&written, sizeof written) ||
            (!answer.spoilt && !write_all(1, answer.bytes, answer.size)))
            return 1;
    }
    return 0;
}

#endif
