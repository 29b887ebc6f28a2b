/* Attaches the arrays of a project read-only in C, as docs/format.md describes.
 *
 *   cc -O2 -o reader reader.c && ./reader /tmp/cute-shm/cute-shm.weather.toml
 *
 * Prints a line for each array: path, dtype, shape, and the sum of its elements if they are numbers.
 * Segments are in $CUTE_SHM_DIR, else in /dev/shm.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT = 4096, AXES = 32 };

struct array {
    char path[TEXT], segment[TEXT], dtype[64];
    uint64_t shape[AXES];
    int axes;
};

static void die(const char *what, const char *about) {
    fprintf(stderr, "reader: %s: %s\n", what, about);
    exit(1);
}

/* ---- the necessary part of TOML: headers, keys, strings and integers; other values are skipped ---- */

static const char *blank(const char *at) {
    for (;;) {
        at += strspn(at, " \t\r\n");
        if (*at != '#') return at;
        at += strcspn(at, "\n");
    }
}

static char *utf8(char *to, unsigned long c) {
    if (c < 0x80) return *to++ = (char)c, to;
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    *to++ = (char)((0xff << (7 - more) & 0xff) | c >> 6 * more);
    while (more--) *to++ = (char)(0x80 | (c >> 6 * more & 0x3f));
    return to;
}

/* Parses a string of any of TOML's four types; `to` may be NULL. */
static const char *string(const char *at, char *to, size_t room) {
    char quote = *at, *end = to + room - 5;
    int triple = at[1] == quote && at[2] == quote;
    for (at += triple ? 3 : 1; *at; at++) {
        char c = *at;
        if (c == quote && (!triple || (at[1] == quote && at[2] == quote && at[3] != quote))) {
            if (to) *to = 0;
            return at + (triple ? 3 : 1);
        }
        if (to && to >= end) die("too long", "a string in the metadata");
        if (c != '\\' || quote == '\'') {
            if (to) *to++ = c;
            continue;
        }
        c = *++at;
        const char *plain = "btnfre\"\\", *means = "\b\t\n\f\r\033\"\\", *found = strchr(plain, c);
        int digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;
        if (digits) {
            char hex[9] = "";
            strncpy(hex, at + 1, (size_t)digits);
            if (to) to = utf8(to, strtoul(hex, NULL, 16));
            at += digits;
        } else if (c && found && to) {
            *to++ = means[found - plain];
        }
        if (!*at) break;
    }
    die("not closed", "a string in the metadata");
    return NULL;
}

/* Parses a dotted key and joins its parts with slashes. */
static const char *key(const char *at, char *to, size_t room) {
    for (char *start = to;; *to++ = '/') {
        size_t left = room - (size_t)(to - start);
        at += strspn(at, " \t");
        if (*at == '"' || *at == '\'') {
            at = string(at, to, left);
            to += strlen(to);
        } else {
            size_t length = strcspn(at, ".]= \t\r\n");
            if (length + 8 > left) die("too long", "a key in the metadata");
            memcpy(to, at, length);
            to += length, at += length;
            *to = 0;
        }
        at += strspn(at, " \t");
        if (*at++ != '.') return at - 1;
    }
}

/* Skips any value. */
static const char *value(const char *at) {
    if (*at == '"' || *at == '\'') return string(at, NULL, TEXT);
    if (*at != '[' && *at != '{') return at + strcspn(at, ",]}\r\n#");
    char close = *at == '[' ? ']' : '}', name[TEXT];
    for (at = blank(at + 1); *at != close; at = blank(at)) {
        if (!*at) die("not closed", "a value in the metadata");
        if (close == '}') at = blank(key(at, name, TEXT) + 1);
        at = blank(value(at));
        if (*at == ',') at++;
    }
    return at + 1;
}

static const char *shape(const char *at, struct array *array) {
    array->axes = 0;
    for (at = blank(at + 1); *at && *at != ']'; at = blank(at)) {
        char *end;
        if (array->axes == AXES) die("too many axes", array->path);
        array->shape[array->axes++] = strtoull(at, &end, 10);
        if (end == at) die("no shape", array->path);
        at = blank(end);
        if (*at == ',') at++;
    }
    return at + 1;
}

/* ---- elements ---- */

/* Returns the kind of a dtype (i, u, f, b; 0 if not a number), with its item size and byte order. */
static char kind_of(const char *dtype, size_t *size, int *swapped) {
    static const char *names[] = {"bool", "uint", "int", "float"}, kinds[] = "buif";
    *swapped = *dtype == '>';
    if (strchr("<>|=", *dtype)) {
        *size = strtoul(dtype + 2, NULL, 10);
        return strchr("buif", dtype[1]) ? dtype[1] : 0;
    }
    for (int i = 0; i < 4; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(dtype, names[i], length)) continue;
        *size = i ? strtoul(dtype + length, NULL, 10) / 8 : 1;
        return kinds[i];
    }
    return 0;
}

static int number(const unsigned char *from, char kind, size_t size, int swapped, double *to) {
    unsigned char b[8];
    if (size > 8) return 0;
    for (size_t i = 0; i < size; i++) b[i] = from[swapped ? size - 1 - i : i];
#define AS(letter, type) \
    if (kind == letter && size == sizeof(type)) { \
        type t; \
        memcpy(&t, b, sizeof t); \
        *to = (double)t; \
        return 1; \
    }
    AS('f', double) AS('f', float)
    AS('i', int8_t) AS('i', int16_t) AS('i', int32_t) AS('i', int64_t)
    AS('u', uint8_t) AS('u', uint16_t) AS('u', uint32_t) AS('u', uint64_t) AS('b', uint8_t)
#undef AS
    return 0;
}

/* Maps the bytes of the array read-only. They remain mapped after the descriptor is closed. */
static const unsigned char *attach(const struct array *array, size_t *size) {
    const char *folder = getenv("CUTE_SHM_DIR");
    char path[2 * TEXT];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "/dev/shm", array->segment);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &status) < 0) die("cannot open", path);
    *size = (size_t)status.st_size;
    void *bytes = mmap(NULL, *size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED) die("cannot map", path);
    close(fd);
    return bytes;
}

static void show(const struct array *array) {
    uint64_t count = 1;
    size_t bytes, size = 0;
    int swapped, ok;
    printf("/%s %s (", array->path, array->dtype);
    for (int i = 0; i < array->axes; i++) {
        if (array->shape[i] && count > UINT64_MAX / array->shape[i]) die("too large", array->path);
        count *= array->shape[i];
        printf("%s%llu", i ? ", " : "", (unsigned long long)array->shape[i]);
    }
    char kind = kind_of(array->dtype, &size, &swapped);
    const unsigned char *data = attach(array, &bytes);
    /* An access beyond the end of a file is a bus error: check the length first. */
    ok = kind && size && count <= bytes / size;
    double sum = 0, one = 0;
    for (uint64_t i = 0; ok && i < count; i++, sum += one) ok = number(data + i * size, kind, size, swapped, &one);
    if (ok) printf(") sum %.17g\n", sum);
    else printf(") %zu bytes\n", bytes);
    munmap((void *)data, bytes);
}

/* Prints each array: a table with the key shm_name. Its subtables (attrs) belong to it. */
static void walk(const char *at) {
    static struct array array;
    char table[TEXT] = "", name[TEXT];
    for (at = blank(at); *at; at = blank(at)) {
        if (*at == '[') {
            at = key(at + 1, table, TEXT) + 1;
            continue;
        }
        at = blank(key(at, name, TEXT) + 1);
        size_t length = strlen(array.path);
        int below = length && !strncmp(table, array.path, length) && table[length] == '/';
        if (!below && strcmp(table, array.path)) {
            if (array.segment[0]) show(&array);
            memset(&array, 0, sizeof array);
            memcpy(array.path, table, TEXT);
        }
        if (below) at = value(at);
        else if (!strcmp(name, "shm_name")) at = string(at, array.segment, TEXT);
        else if (!strcmp(name, "dtype")) at = string(at, array.dtype, sizeof array.dtype);
        else if (!strcmp(name, "shape")) at = shape(at, &array);
        else at = value(at);
    }
    if (array.segment[0]) show(&array);
}

int main(int argc, char **argv) {
    static char text[16 << 20];
    if (argc != 2) die("usage", "reader METADATA");
    FILE *file = fopen(argv[1], "rb");
    if (!file) die("cannot open", argv[1]);
    size_t length = fread(text, 1, sizeof text - 1, file);
    if (ferror(file) || !feof(file)) die("cannot read", argv[1]);
    text[length] = 0;
    fclose(file);
    walk(text);
    return 0;
}
