/* A wall clock that can be stepped while a program runs: to be preloaded.
 *
 * The file STEPPED_CLOCK holds by how many seconds the wall clock is ahead, a 64-bit integer in the machine's order; it may
 * change at any time. All other clocks stay as they are. libfaketime cannot do this for Envoy: it looks up symbols when it
 * is first asked for the time, and Envoy's allocator asks for the time when memory is allocated for that look-up. So this
 * asks the kernel itself and allocates nothing. Without its file it ends the program.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

long syscall(long number, ...);

static const volatile int64_t *seconds_ahead;

__attribute__((constructor)) static void map_offset(void) {
  const char *path = getenv("STEPPED_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *seconds_ahead, PROT_READ, MAP_SHARED, file, 0);
  if (page == MAP_FAILED) {
    _exit(70);
  }
  seconds_ahead = page;
  close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, clock, now);
  /* CLOCK_REALTIME_COARSE is 5 on Linux. */
  if (!failed && seconds_ahead && (clock == CLOCK_REALTIME || clock == 5)) {
    now->tv_sec += (time_t)*seconds_ahead;
  }
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  (void)zone;
  struct timespec precise;
  int failed = clock_gettime(CLOCK_REALTIME, &precise);
  if (!failed && now) {
    now->tv_sec = precise.tv_sec;
    now->tv_usec = (suseconds_t)(precise.tv_nsec / 1000);
  }
  return failed;
}

time_t time(time_t *seconds) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now)) {
    return (time_t)-1;
  }
  if (seconds) {
    *seconds = now.tv_sec;
  }
  return now.tv_sec;
}
