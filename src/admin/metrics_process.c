/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/metrics_process.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"

#define US_PER_S 1000000

static struct {
	int64_t wall, mono; /* ms; set before the admin thread is started */
} began;

void
metrics_begin(void)
{
	began.wall = wall_ms();
	began.mono = mono_ms();
}

int64_t
metrics_uptime_ms(void)
{
	return mono_ms() - began.mono;
}

static int64_t
cpu_us(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u) != 0)
		return 0;
	return ((int64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * US_PER_S + u.ru_utime.tv_usec +
	       u.ru_stime.tv_usec;
}

static uint64_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	uint64_t pages = 0;

	if (f && fscanf(f, "%*u %" SCNu64, &pages) != 1)
		pages = 0;
	if (f)
		(void)fclose(f); /* nothing was written */
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void
metrics_process(struct expo *e)
{
	struct rlimit files = {0};

	(void)getrlimit(RLIMIT_NOFILE, &files); /* cannot fail */
	expo_family(e, "process_start_time_seconds", EXPO_GAUGE,
		    "When the server was started, since 1970.");
	expo_seconds(e, began.wall * 1000);
	expo_family(e, "process_cpu_seconds_total", EXPO_COUNTER, "CPU time, user and system.");
	expo_seconds(e, cpu_us());
	expo_family(e, "process_resident_memory_bytes", EXPO_GAUGE, "Memory in use.");
	expo_count(e, resident_bytes());
	expo_family(e, "process_max_fds", EXPO_GAUGE, "How many files may be open.");
	expo_count(e, files.rlim_cur);
}
