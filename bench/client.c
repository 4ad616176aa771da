/*
 * The client of the benchmark: a program in C, because what is measured takes microseconds. Compiled when the benchmark starts. Says its
 * result as one line of JSON; any failed system call ends it with a message and exit code 1, so that no wrong figure is ever printed.
 *
 *   read  ROOT LIST PASSES      open, read to the end, close, for each name of LIST; the last pass is told
 *   par   ROOT LIST PROCESSES   the same by several processes at once, each in an order of its own, after a pass that warms up
 *   stat  ROOT LIST             stat each name
 *   find  ROOT                  walk all directories and lstat every entry, as find(1) -ls does
 *   walk  ROOT                  walk all directories and read every file, as a copy does
 *   seq   FILE BLOCK PASSES     read one file in blocks; the last pass is told
 *   put   ROOT LIST SOURCE HOW  write each name with the bytes of SOURCE/name. HOW: `ask` (mkdir and stat before each, untimed), `burst` (the
 *                               same, all before the first), `sync` (a burst with fsync of the file and of its directory, timed) or
 *                               `odoo` (Odoo's calls)
 *   run   COMMAND...            another program's time and CPU
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PATH_BYTES 4096
/* Odoo reads with st_blksize; a whole small file fits. */
#define BUFFER_BYTES (1 << 20)

static char buffer[BUFFER_BYTES];

struct names {
  char **at;
  size_t count;
};

static void fail(const char *what) {
  fprintf(stderr, "bench client: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Names come from a file, so that the mount is not asked for them. */
static struct names load(const char *root, const char *list) {
  FILE *file = fopen(list, "r");
  if (file == NULL) fail(list);
  struct names n = {NULL, 0};
  char line[PATH_BYTES], path[2 * PATH_BYTES];
  size_t capacity = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    line[strcspn(line, "\n")] = 0;
    if (line[0] == 0) continue;
    if (n.count == capacity) {
      capacity = capacity == 0 ? 1024 : capacity * 2;
      n.at = realloc(n.at, capacity * sizeof *n.at);
      if (n.at == NULL) fail("memory");
    }
    snprintf(path, sizeof path, "%s%s%s", root, root[0] == 0 ? "" : "/", line);
    n.at[n.count++] = strdup(path);
  }
  fclose(file);
  if (n.count == 0) {
    fprintf(stderr, "bench client: %s is empty\n", list);
    exit(1);
  }
  return n;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static void tell(double *samples, size_t count, double bytes) {
  double total = 0;
  for (size_t i = 0; i < count; i++) total += samples[i];
  qsort(samples, count, sizeof *samples, by_value);
  printf("{\"count\":%zu,\"totalNs\":%.0f,\"p50Ns\":%.0f,\"p90Ns\":%.0f,\"bytes\":%.0f}\n", count, total, samples[count / 2],
         samples[count * 9 / 10], bytes);
}

static double read_whole(int fd, const char *path, size_t block) {
  double bytes = 0;
  ssize_t got;
  while ((got = read(fd, buffer, block)) > 0) bytes += (double)got;
  if (got < 0) fail(path);
  return bytes;
}

static double read_file(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(path);
  double bytes = read_whole(fd, path, 64 * 1024);
  if (close(fd) != 0) fail(path);
  return bytes;
}

static void shuffle(struct names n, unsigned seed) {
  srand(seed);
  for (size_t i = n.count - 1; i > 0; i--) {
    size_t j = (size_t)rand() % (i + 1);
    char *swap = n.at[i];
    n.at[i] = n.at[j];
    n.at[j] = swap;
  }
}

static void run_read(struct names n, int passes) {
  double *samples = calloc(n.count, sizeof *samples), bytes = 0;
  for (int pass = 0; pass < passes; pass++) {
    bytes = 0;
    for (size_t i = 0; i < n.count; i++) {
      double start = now_ns();
      bytes += read_file(n.at[i]);
      samples[i] = now_ns() - start;
    }
  }
  tell(samples, n.count, bytes);
}

static void run_parallel(struct names n, int processes) {
  int gate[2];
  for (size_t i = 0; i < n.count; i++) read_file(n.at[i]);
  if (pipe(gate) != 0) fail("pipe");
  for (int p = 0; p < processes; p++) {
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child > 0) continue;
    char byte;
    close(gate[1]);
    shuffle(n, (unsigned)p + 1);
    /* Opens when the parent closes its end: all start together. */
    if (read(gate[0], &byte, 1) != 0) _exit(1);
    for (size_t i = 0; i < n.count; i++) read_file(n.at[i]);
    _exit(0);
  }
  usleep(50 * 1000);
  double start = now_ns();
  close(gate[1]);
  int status, bad = 0;
  while (wait(&status) > 0) bad |= status;
  if (bad) exit(1);
  printf("{\"count\":%zu,\"totalNs\":%.0f}\n", n.count * (size_t)processes, now_ns() - start);
}

static void run_stat(struct names n) {
  double *samples = calloc(n.count, sizeof *samples);
  struct stat st;
  for (size_t i = 0; i < n.count; i++) {
    double start = now_ns();
    if (stat(n.at[i], &st) != 0) fail(n.at[i]);
    samples[i] = now_ns() - start;
  }
  tell(samples, n.count, 0);
}

static size_t walk(int parent, const char *name, int reads, double *bytes) {
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail(name);
  DIR *directory = fdopendir(fd);
  size_t entries = 0;
  struct dirent *entry;
  while ((entry = readdir(directory)) != NULL) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    struct stat st;
    entries++;
    if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) fail(entry->d_name);
    if (S_ISDIR(st.st_mode)) entries += walk(fd, entry->d_name, reads, bytes);
    else if (reads) {
      int file = openat(fd, entry->d_name, O_RDONLY | O_CLOEXEC);
      if (file < 0) fail(entry->d_name);
      *bytes += read_whole(file, entry->d_name, 64 * 1024);
      close(file);
    }
  }
  closedir(directory);
  return entries;
}

static void run_walk(const char *root, int reads) {
  double bytes = 0, start = now_ns();
  size_t entries = walk(AT_FDCWD, root, reads, &bytes);
  printf("{\"count\":%zu,\"totalNs\":%.0f,\"bytes\":%.0f}\n", entries, now_ns() - start, bytes);
}

static void run_sequential(const char *path, size_t block, int passes) {
  double bytes = 0, took = 0;
  for (int pass = 0; pass < passes; pass++) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail(path);
    double start = now_ns();
    bytes = read_whole(fd, path, block > BUFFER_BYTES ? BUFFER_BYTES : block);
    took = now_ns() - start;
    close(fd);
  }
  printf("{\"count\":1,\"totalNs\":%.0f,\"bytes\":%.0f}\n", took, bytes);
}

static void expect_absent(const char *path) {
  struct stat st;
  if (stat(path, &st) == 0 || errno != ENOENT) {
    fprintf(stderr, "bench client: %s should not be there yet\n", path);
    exit(1);
  }
}

static void write_file(const char *path, const char *bytes, size_t size) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) fail(path);
  if (write(fd, bytes, size) != (ssize_t)size) fail(path);
  if (close(fd) != 0) fail(path);
}

/* What a program does by itself to have a file that survives a power cut. */
static void write_durably(const char *path, const char *directory, const char *bytes, size_t size) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) fail(path);
  if (write(fd, bytes, size) != (ssize_t)size) fail(path);
  if (fsync(fd) != 0) fail(path);
  if (close(fd) != 0) fail(path);
  fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail(directory);
  if (fsync(fd) != 0) fail(directory);
  if (close(fd) != 0) fail(directory);
}

/* Odoo 19, ir_attachment._file_write: what it calls for a new attachment, its checklist marker included. */
static void odoo_write(const char *root, const char *path, const char *bytes, size_t size) {
  char directory[PATH_BYTES], marker[PATH_BYTES], marker_directory[PATH_BYTES];
  struct stat st;
  struct termios terminal;
  const char *relative = path + strlen(root) + 1;
  snprintf(directory, sizeof directory, "%s/%.2s", root, relative);
  snprintf(marker_directory, sizeof marker_directory, "%s/checklist/%.2s", root, relative);
  snprintf(marker, sizeof marker, "%s/checklist/%s", root, relative);
  if (stat(directory, &st) != 0) {
    if (stat(root, &st) != 0) fail(root);
    if (mkdir(directory, 0777) != 0 && errno != EEXIST) fail(directory);
  }
  for (int i = 0; i < 3; i++) expect_absent(path);
  if (stat(marker, &st) != 0 && stat(marker_directory, &st) != 0) {
    snprintf(directory, sizeof directory, "%s/checklist", root);
    if (mkdir(directory, 0777) != 0 && errno != EEXIST) fail(directory);
    if (mkdir(marker_directory, 0777) != 0 && errno != EEXIST) fail(marker_directory);
  }
  int fd = open(marker, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0) fail(marker);
  if (fstat(fd, &st) != 0) fail(marker);
  ioctl(fd, TCGETS, &terminal);
  if (close(fd) != 0) fail(marker);
  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) fail(path);
  if (fstat(fd, &st) != 0) fail(path);
  ioctl(fd, TCGETS, &terminal);
  if (write(fd, bytes, size) != (ssize_t)size) fail(path);
  if (close(fd) != 0) fail(path);
}

static void shard_of(const char *path, char *shard, size_t size) {
  snprintf(shard, size, "%.*s", (int)(strrchr(path, '/') - path), path);
}

static void prepare(const char *path) {
  char shard[2 * PATH_BYTES];
  shard_of(path, shard, sizeof shard);
  if (mkdir(shard, 0777) != 0 && errno != EEXIST) fail(shard);
  expect_absent(path);
}

static void run_put(const char *root, struct names n, const char *source, const char *how) {
  double *samples = calloc(n.count, sizeof *samples), bytes = 0;
  int as_odoo = strcmp(how, "odoo") == 0, durably = strcmp(how, "sync") == 0, in_burst = durably || strcmp(how, "burst") == 0;
  char from[2 * PATH_BYTES];
  for (size_t i = 0; in_burst && i < n.count; i++) prepare(n.at[i]);
  for (size_t i = 0; i < n.count; i++) {
    snprintf(from, sizeof from, "%s%s", source, n.at[i] + strlen(root));
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    if (fd < 0) fail(from);
    ssize_t size = read(fd, buffer, BUFFER_BYTES);
    close(fd);
    if (size <= 0) fail(from);
    if (!as_odoo && !in_burst) prepare(n.at[i]);
    shard_of(n.at[i], from, sizeof from);
    double start = now_ns();
    if (as_odoo) odoo_write(root, n.at[i], buffer, (size_t)size);
    else if (durably) write_durably(n.at[i], from, buffer, (size_t)size);
    else write_file(n.at[i], buffer, (size_t)size);
    samples[i] = now_ns() - start;
    bytes += (double)size;
  }
  tell(samples, n.count, bytes);
}

static double seconds(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void run_command(char **argv) {
  double start = now_ns();
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    /* Whoever read what it prints would take a processor from those that are measured. */
    if (freopen("/dev/null", "w", stdout) == NULL) fail("/dev/null");
    execvp(argv[0], argv);
    fail(argv[0]);
  }
  int status;
  struct rusage used;
  if (wait4(child, &status, 0, &used) < 0) fail("wait4");
  printf("{\"count\":1,\"totalNs\":%.0f,\"cpuSeconds\":%.6f,\"exitCode\":%d}\n", now_ns() - start, seconds(used.ru_utime) + seconds(used.ru_stime),
         WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int main(int count, char **argv) {
  const char *what = count > 1 ? argv[1] : "";
  if (strcmp(what, "read") == 0 && count == 5) run_read(load(argv[2], argv[3]), atoi(argv[4]));
  else if (strcmp(what, "par") == 0 && count == 5) run_parallel(load(argv[2], argv[3]), atoi(argv[4]));
  else if (strcmp(what, "stat") == 0 && count == 4) run_stat(load(argv[2], argv[3]));
  else if (strcmp(what, "find") == 0 && count == 3) run_walk(argv[2], 0);
  else if (strcmp(what, "walk") == 0 && count == 3) run_walk(argv[2], 1);
  else if (strcmp(what, "seq") == 0 && count == 5) run_sequential(argv[2], (size_t)atol(argv[3]), atoi(argv[4]));
  else if (strcmp(what, "put") == 0 && count == 6) run_put(argv[2], load(argv[2], argv[3]), argv[4], argv[5]);
  else if (strcmp(what, "run") == 0 && count > 2) run_command(argv + 2);
  else {
    fprintf(stderr, "bench client: wrong arguments; see the head of bench/client.c\n");
    return 2;
  }
  return 0;
}
