/* A slow file system for scripts/bench-cold: a read-only FUSE view of the files in one directory, without subdirectories.
   Each read request takes LATENCY milliseconds, and all requests together transfer at most RATE megabytes per second
   (0: no limit). Requests overlap, like those of a network or parallel file system.

     slowfs DIRECTORY MOUNTPOINT LATENCY RATE [direct]

   With `direct` each read(2) becomes requests of its own, as on a client without a cache. Without it the page cache and
   the kernel's read-ahead are in use, as with NFS. It prints "ready" once the file system is mounted. SIGTERM unmounts it
   and prints the number of read requests and of the bytes that they asked for. It needs root, for mount(2). */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The largest request, and the number of requests at a time. */
enum { max_read = 1 << 20, max_requests = 256 };

struct file {
    char *name;
    int descriptor;
    struct stat status;
};

static struct file *files;
static size_t count;
static int device, direct;
static double latency, seconds_per_byte;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double link_free;
static unsigned long long requests, bytes;

static void need(int fine, const char *what) {
    if (!fine) {
        perror(what);
        exit(1);
    }
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

/* Returns the time at which a request for `size` bytes ends, and counts it. */
static double due(size_t size) {
    pthread_mutex_lock(&lock);
    requests++, bytes += size;
    double start = now();
    link_free = (link_free > start ? link_free : start) + size * seconds_per_byte;
    double end = link_free + latency;
    pthread_mutex_unlock(&lock);
    return end;
}

static void sleep_until(double end) {
    struct timespec time = {.tv_sec = end};
    time.tv_nsec = (end - time.tv_sec) * 1e9;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR) continue;
}

/* Node 1 is the directory, and node N the file N - 2. */
static struct file *of_node(unsigned long long node) { return node >= 2 && node - 2 < count ? &files[node - 2] : NULL; }

static void attributes(unsigned long long node, struct fuse_attr *attr) {
    struct file *file = of_node(node);
    *attr = (struct fuse_attr){.ino = node, .mode = S_IFDIR | 0755, .nlink = 1, .blksize = max_read};
    if (file) {
        attr->mode = S_IFREG | 0444;
        attr->size = file->status.st_size;
        attr->blocks = file->status.st_blocks;
        attr->mtime = attr->ctime = file->status.st_mtim.tv_sec;
        attr->mtimensec = attr->ctimensec = file->status.st_mtim.tv_nsec;
    }
}

/* Writes the answer to a request: an error number, or the result behind the header in `buffer`. */
static void answer(struct fuse_in_header *in, int error, char *buffer, size_t size) {
    struct fuse_out_header head = {.len = sizeof head + (error ? 0 : size), .error = -error, .unique = in->unique};
    memcpy(buffer, &head, sizeof head);
    /* A request that was interrupted has no answer. */
    if (write(device, buffer, head.len) < 0 && errno != ENOENT && errno != ENODEV) perror("slowfs: write");
}

static size_t list(unsigned long long offset, size_t limit, char *out) {
    size_t size = 0;
    for (size_t number = offset; number < count; number++) {
        size_t length = strlen(files[number].name);
        struct fuse_dirent entry = {.ino = number + 2, .off = number + 1, .namelen = length, .type = DT_REG};
        size_t whole = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + length);
        if (size + whole > limit) break;
        memset(out + size, 0, whole);
        memcpy(out + size, &entry, FUSE_NAME_OFFSET);
        memcpy(out + size + FUSE_NAME_OFFSET, files[number].name, length);
        size += whole;
    }
    return size;
}

static size_t limited(size_t size) { return size < max_read ? size : max_read; }

static void handle(struct fuse_in_header *in, void *argument, char *buffer) {
    char *out = buffer + sizeof(struct fuse_out_header);
    struct file *file = of_node(in->nodeid);
    switch (in->opcode) {
    case FUSE_INIT: {
        struct fuse_init_in *init = argument;
        struct fuse_init_out result = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION};
        result.flags = init->flags & (FUSE_ASYNC_READ | FUSE_MAX_PAGES | FUSE_PARALLEL_DIROPS | FUSE_BIG_WRITES);
        result.max_readahead = max_read;
        result.max_write = max_read;
        result.max_pages = max_read / sysconf(_SC_PAGESIZE);
        result.max_background = 64, result.congestion_threshold = 48, result.time_gran = 1;
        memcpy(out, &result, sizeof result);
        return answer(in, 0, buffer, sizeof result);
    }
    case FUSE_LOOKUP: {
        struct fuse_entry_out entry = {.entry_valid = 3600, .attr_valid = 3600};
        for (size_t number = 0; in->nodeid == FUSE_ROOT_ID && number < count; number++)
            if (strcmp(files[number].name, argument) == 0) entry.nodeid = number + 2;
        if (!entry.nodeid) return answer(in, ENOENT, buffer, 0);
        attributes(entry.nodeid, &entry.attr);
        memcpy(out, &entry, sizeof entry);
        return answer(in, 0, buffer, sizeof entry);
    }
    case FUSE_GETATTR: {
        struct fuse_attr_out result = {.attr_valid = 3600};
        attributes(in->nodeid, &result.attr);
        memcpy(out, &result, sizeof result);
        return answer(in, 0, buffer, sizeof result);
    }
    case FUSE_OPEN:
    case FUSE_OPENDIR: {
        /* Like NFS, which keeps the pages of a file that has not changed. */
        struct fuse_open_out result = {.open_flags = file && direct ? FOPEN_DIRECT_IO : FOPEN_KEEP_CACHE};
        memcpy(out, &result, sizeof result);
        return answer(in, 0, buffer, sizeof result);
    }
    case FUSE_READ: {
        struct fuse_read_in *read = argument;
        if (!file) return answer(in, EISDIR, buffer, 0);
        size_t size = limited(read->size), done = 0;
        double end = due(size);
        while (done < size) {
            ssize_t more = pread(file->descriptor, out + done, size - done, read->offset + done);
            if (more < 0) return answer(in, errno, buffer, 0);
            if (more == 0) break;
            done += more;
        }
        sleep_until(end);
        return answer(in, 0, buffer, done);
    }
    case FUSE_READDIR: {
        struct fuse_read_in *read = argument;
        return answer(in, 0, buffer, list(read->offset, limited(read->size), out));
    }
    case FUSE_STATFS: {
        struct fuse_statfs_out result = {.st = {.bsize = max_read, .namelen = NAME_MAX, .frsize = 4096}};
        memcpy(out, &result, sizeof result);
        return answer(in, 0, buffer, sizeof result);
    }
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR:
        return answer(in, 0, buffer, 0);
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        return;
    default:
        return answer(in, ENOSYS, buffer, 0);
    }
}

/* Answers requests until the file system is unmounted. */
static void *serve(void *unused) {
    (void)unused;
    size_t size = max_read + 4096;
    char *input = malloc(size), *output = malloc(size);
    need(input && output, "malloc");
    for (;;) {
        ssize_t done = read(device, input, size - 1);
        if (done < 0 && errno == ENODEV) return NULL;
        if (done < (ssize_t)sizeof(struct fuse_in_header)) continue;
        /* The argument of a lookup is a string. */
        input[done] = 0;
        handle((struct fuse_in_header *)input, input + sizeof(struct fuse_in_header), output);
    }
}

static void find_files(const char *folder) {
    DIR *listed = opendir(folder);
    need(listed != NULL, folder);
    for (struct dirent *entry; (entry = readdir(listed));) {
        struct file file = {.descriptor = openat(dirfd(listed), entry->d_name, O_RDONLY)};
        need(file.descriptor >= 0 && fstat(file.descriptor, &file.status) == 0, entry->d_name);
        if (!S_ISREG(file.status.st_mode)) {
            close(file.descriptor);
            continue;
        }
        file.name = strdup(entry->d_name);
        files = realloc(files, (count + 1) * sizeof *files);
        need(file.name && files, "malloc");
        files[count++] = file;
    }
    closedir(listed);
}

int main(int arguments, char **argument) {
    if (arguments < 5) {
        fputs("usage: slowfs DIRECTORY MOUNTPOINT LATENCY RATE [direct]\n", stderr);
        return 2;
    }
    find_files(argument[1]);
    latency = atof(argument[3]) / 1e3;
    seconds_per_byte = atof(argument[4]) > 0 ? 1e-6 / atof(argument[4]) : 0;
    direct = arguments > 5 && strcmp(argument[5], "direct") == 0;

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM), sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    char options[128];
    device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    need(device >= 0, "/dev/fuse");
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,max_read=%d", device, max_read);
    need(mount("slowfs", argument[2], "fuse.slowfs", MS_RDONLY | MS_NOSUID | MS_NODEV, options) == 0, "mount");
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 << 10);
    for (int number = 0; number < max_requests; number++) {
        pthread_t thread;
        errno = pthread_create(&thread, &small, serve, NULL);
        need(errno == 0, "pthread_create");
    }
    puts("ready");
    fflush(stdout);
    int signal;
    sigwait(&signals, &signal);
    need(umount2(argument[2], MNT_DETACH) == 0, "umount");
    printf("%llu %llu\n", requests, bytes);
    return 0;
}
