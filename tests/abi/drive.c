/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive - uses a storage module through the loader as the server does, and prints TAP: the things
 * a first module must get right. restante-conform checks the whole contract.
 *
 *   drive MODULE.so MAILBOX KEY=VALUE...     MAILBOX must hold at least two messages
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/call.h"
#include "host/inst.h"
#include "host/thread.h"
#include "host/toolhost.h"

static int number, failed;

static void
ok(bool good, const char *name)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++number, name);
	failed += !good;
}

/* ---- a small host ---------------------------------------------------------------------------- */

static void
log_line(void *ctx, int32_t level, struct pm_str text)
{
	(void)ctx;
	printf("# log %d: %.*s\n", level, (int)text.n, text.p);
}

static void
count(void *ctx, struct pm_str name, int64_t delta)
{
	(void)ctx;
	printf("# count %.*s %lld\n", (int)name.n, name.p, (long long)delta);
}

static const struct pm_host services = TOOLHOST(toolhost_now_ms, toolhost_wall_ms, log_line, count);

static void
print_error(void *ctx, const char *file, unsigned line, const char *text)
{
	(void)ctx;
	(void)file;
	(void)line;
	printf("# %s\n", text);
}

static struct host_inst *
open_module(const char *path, char **settings, size_t n)
{
	struct host_setting set[16];
	struct host_spec spec = {
		.section = "drive",
		.permits = 2,
		.purpose = PM_PURPOSE_TOOL,
		.state_dir = "/tmp",
		.run_dir = "/tmp",
		.settings = set,
		.n_settings = n,
		.host = &services,
		.error = print_error,
	};
	struct host_lib *lib;
	char err[1024];

	for (size_t i = 0; i < n; i++) {
		char *value = strchr(settings[i], '=');

		if (!value || n > 16)
			return NULL;
		*value = '\0';
		set[i] = (struct host_setting){.key = settings[i], .value = value + 1};
	}
	lib = host_load(path, "", err, sizeof(err));
	if (!lib) {
		printf("# %s\n", err);
		return NULL;
	}
	return host_check(lib, &spec) ? host_open(lib, &spec) : NULL;
}

/* ---- sessions -------------------------------------------------------------------------------- */

#define MESSAGES_MAX 64

struct session {
	struct host_inst *inst;
	struct pm_user user;
	struct host_call call;
	void *mbox;
	uint64_t n;
	struct pm_msg msgs[MESSAGES_MAX];
};

static int32_t
session_open(struct session *s, uint32_t flags)
{
	int32_t rc;

	host_call_init(&s->call, toolhost_now_ms(NULL) + 10000, 1);
	s->mbox = NULL;
	do
		rc = host_mbox_open(s->inst, &s->call, &s->user, flags, &s->n, &s->mbox);
	while (rc == PM_AGAIN);
	if (rc != PM_OK)
		return rc;
	if (s->n > MESSAGES_MAX)
		s->n = MESSAGES_MAX;
	do
		rc = host_mbox_info(s->inst, s->mbox, &s->call, 0, s->n,
				    PM_WANT_OCTETS | PM_WANT_UIDL, s->msgs);
	while (rc == PM_AGAIN);
	return rc;
}

static void
session_close(struct session *s)
{
	host_mbox_close(s->inst, s->mbox, &s->call);
}

/* Octets on the wire by reading the message in pieces of an odd size; UINT64_MAX: it could not
 * be read. */
static uint64_t
read_octets(struct session *s, uint64_t i)
{
	uint64_t octets = 0;
	char buf[37], last = '\0';
	size_t got;
	int32_t rc;
	void *msg;

	if (host_msg_open(s->inst, s->mbox, &s->call, i, &msg) != PM_OK)
		return UINT64_MAX;
	while ((rc = host_msg_read(s->inst, msg, &s->call, buf, sizeof(buf), &got)) == PM_OK) {
		for (size_t k = 0; k < got; k++) {
			octets += buf[k] == '\n' && last != '\r' ? 2 : 1;
			last = buf[k];
		}
	}
	host_msg_close(s->inst, msg, &s->call);
	if (rc != PM_END)
		return UINT64_MAX;
	return octets > 0 && last != '\n' ? octets + 2 : octets;
}

static void
check_reading(struct session *s)
{
	bool right = true;

	for (uint64_t i = 0; i < s->n; i++)
		right = right && read_octets(s, i) == s->msgs[i].octets;
	ok(right, "octets are those of the bytes read");
}

static bool
same_uidls(const struct session *a, uint64_t from, const struct session *b)
{
	if (a->n - from != b->n)
		return false;
	for (uint64_t i = 0; i < b->n; i++)
		if (a->msgs[i + from].uidl_len != b->msgs[i].uidl_len ||
		    memcmp(a->msgs[i + from].uidl, b->msgs[i].uidl, b->msgs[i].uidl_len) != 0)
			return false;
	return true;
}

static void
drive(struct session *s)
{
	static struct session second, later;
	uint8_t del[MESSAGES_MAX / 8] = {1};
	struct pm_commit commit = {.size = sizeof(commit), .del = del};
	uint64_t done = 0;

	second = later = *s;
	ok(session_open(s, PM_OPEN_EXCLUSIVE) == PM_OK && s->n >= 2,
	   "a mailbox with messages is opened");
	check_reading(s);
	ok(session_open(&second, PM_OPEN_EXCLUSIVE) == PM_BUSY, "a second session is told BUSY");
	ok(session_open(&second, PM_OPEN_READONLY) == PM_OK && same_uidls(s, 0, &second),
	   "a reader is let in");
	session_close(&second);
	session_close(s);
	ok(session_open(&later, PM_OPEN_EXCLUSIVE) == PM_OK && same_uidls(s, 0, &later),
	   "closed without commit: everything is still there");
	commit.n = later.n;
	ok(host_mbox_commit(later.inst, later.mbox, &later.call, &commit, &done) == PM_OK &&
		   done == 1,
	   "one message is deleted");
	session_close(&later);
	ok(session_open(&later, PM_OPEN_EXCLUSIVE) == PM_OK && same_uidls(s, 1, &later),
	   "that one is gone, the others have their unique-ids");
	check_reading(&later);
	session_close(&later);
}

static void
drive_elsewhere(struct session *s, const char *name, int32_t expected, const char *what)
{
	s->user.name = (struct pm_str){name, strlen(name)};
	ok(session_open(s, PM_OPEN_EXCLUSIVE) == expected && (expected != PM_OK || s->n == 0),
	   what);
	if (expected == PM_OK)
		session_close(s);
}

int
main(int argc, char **argv)
{
	static struct session s;

	if (argc < 3) {
		fprintf(stderr, "usage: drive MODULE.so MAILBOX KEY=VALUE...\n");
		return 64;
	}
	s.inst = open_module(argv[1], argv + 3, (size_t)argc - 3);
	ok(s.inst != NULL, "the module is loaded and opened");
	if (s.inst) {
		host_user_init(&s.user);
		s.user.name = (struct pm_str){argv[2], strlen(argv[2])};
		drive(&s);
		drive_elsewhere(&s, "nobody-has-this-name", PM_OK,
				"a mailbox that is not there is empty");
		drive_elsewhere(&s, "../escape", PM_PERM, "a key that leads elsewhere is refused");
		host_thread_exit();
		host_close(s.inst);
	}
	printf("1..%d\n", number);
	return failed != 0;
}
