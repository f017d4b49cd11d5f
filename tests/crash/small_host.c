/* SPDX-License-Identifier: Apache-2.0 */
#include "small_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/toolhost.h"

#define CALL_MS 30000

bool small_quiet;

static void
log_line(void *ctx, int32_t level, struct pm_str text)
{
	(void)ctx;
	if (!small_quiet)
		printf("log %d %.*s\n", level, (int)text.n, text.p);
}

/* SMALL_WALL_MS=ms: the clock stands there. */
static int64_t
wall(void *ctx)
{
	const char *ms = getenv("SMALL_WALL_MS");

	return ms ? strtoll(ms, NULL, 10) : toolhost_wall_ms(ctx);
}

/* The volume of a path is the directory itself, if it holds a file named reserve. */
static int32_t
reserve_release(void *ctx, struct pm_str path)
{
	char file[PM_PATH_MAX + 16];

	(void)ctx;
	snprintf(file, sizeof(file), "%.*s/reserve", (int)path.n, path.p);
	return unlink(file) == 0 ? PM_OK : PM_NOENT;
}

const struct pm_host small_services = {.size = sizeof(struct pm_host),
				       .abi_minor = PM_ABI_MINOR,
				       .now_ms = toolhost_now_ms,
				       .wall_ms = wall,
				       .log = log_line,
				       .count = toolhost_count,
				       .invalidate = toolhost_invalidate,
				       .reserve_release = reserve_release};

void
small_error(void *ctx, const char *file, unsigned line, const char *text)
{
	(void)ctx;
	(void)file;
	(void)line;
	fprintf(stderr, "%s\n", text);
}

struct host_call *
small_call(void)
{
	static struct host_call c;

	host_call_init(&c, toolhost_now_ms(NULL) + CALL_MS, 1);
	return &c;
}

struct pm_user
small_user(const char *name)
{
	struct pm_user u;
	const char *at = strchr(name, '@');

	host_user_init(&u);
	u.name = u.key = (struct pm_str){name, strlen(name)};
	if (at)
		u.domain = (struct pm_str){at + 1, strlen(at + 1)};
	return u;
}

int32_t
small_digest(struct host_inst *inst, void *mbox, uint64_t k, uint64_t *ret)
{
	uint64_t h = 0xcbf29ce484222325u;
	char buf[4096], last = '\n';
	struct host_call *c;
	size_t got;
	void *m;
	int32_t rc = host_msg_open(inst, mbox, c = small_call(), k, &m);

	if (rc != PM_OK)
		return rc;
	while ((rc = host_msg_read(inst, m, c = small_call(), buf, sizeof(buf), &got)) == PM_OK) {
		for (size_t i = 0; i < got; i++) {
			if (buf[i] == '\n' && last != '\r')
				h = (h ^ '\r') * 0x100000001b3u;
			h = (h ^ (unsigned char)buf[i]) * 0x100000001b3u;
			last = buf[i];
		}
	}
	host_msg_close(inst, m, small_call());
	*ret = h;
	return rc == PM_END ? PM_OK : rc;
}
