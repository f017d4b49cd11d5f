/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask - one instance of an auth module, through the loader, asked by several threads. Requests are
 * lines on standard input, answers lines on standard output, in the order they are done. Texts are
 * in hex, and "-" is an empty one.
 *
 *   ask MODULE.so THREADS [KEY=VALUE...]
 *   > ID VERB MS NAME SECRET     verify lookup domain secret event probe tick
 *   < user KEY SECTION QUOTA_OCTETS QUOTA_MSGS EXPIRE_DAYS VALID_UNTIL ATTR=VALUE...
 *   < ID CODE ELAPSED_MS STATE RIGHTS NAME CRED_ID LAST_LOGIN TARGETS ERROR...
 *   < log LEVEL TEXT
 */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/answer.h"
#include "host/call.h"
#include "host/inst.h"
#include "host/toolhost.h"
#include "unit/rig.h"

#define THREADS_MAX 64
#define TEXT_MAX 2048

static struct host_inst *inst;
static pthread_mutex_t in = PTHREAD_MUTEX_INITIALIZER, out = PTHREAD_MUTEX_INITIALIZER;

/* ---- a small host ---------------------------------------------------------------------------- */

static void
log_line(void *ctx, int32_t level, struct pm_str text)
{
	(void)ctx;
	pthread_mutex_lock(&out);
	printf("log %d %.*s\n", level, (int)text.n, text.p);
	fflush(stdout);
	pthread_mutex_unlock(&out);
}

static const struct pm_host services =
	TOOLHOST(toolhost_now_ms, toolhost_wall_ms, log_line, toolhost_count);

static void
print_error(void *ctx, const char *file, unsigned line, const char *text)
{
	(void)ctx;
	(void)file;
	(void)line;
	fprintf(stderr, "ask: %s\n", text);
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct pm_str
unhex(const char *hex, char *buf)
{
	size_t n = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;

	for (size_t k = 0; k < n; k++) {
		char two[3] = {hex[2 * k], hex[2 * k + 1], '\0'};

		buf[k] = (char)strtoul(two, NULL, 16);
	}
	return (struct pm_str){buf, n};
}

static void
print_hex(struct pm_str s)
{
	putchar(' ');
	for (size_t k = 0; k < s.n; k++)
		printf("%02x", (unsigned char)s.p[k]);
	if (s.n == 0)
		putchar('-');
}

static int32_t
answer(const char *verb, struct host_call *c, const struct pm_cred *cred, struct pm_user *u)
{
	struct pm_secret s = {.size = sizeof(s), .kinds = PM_SECRET_SCRAM_SHA256};
	int32_t rc;

	if (strcmp(verb, "verify") == 0)
		return host_verify(inst, c, cred, u);
	if (strcmp(verb, "lookup") == 0)
		return host_lookup(inst, c, cred, u);
	if (strcmp(verb, "secret") == 0)
		return host_secret(inst, c, cred, &s, u);
	if (strcmp(verb, "domain") == 0)
		return host_domain(inst, c, cred->authcid);
	if (strcmp(verb, "probe") == 0)
		return host_probe(inst, c);
	if (strcmp(verb, "event") == 0) {
		u->name = cred->authcid;
		return host_event(inst, c, u, PM_EVENT_LOGIN);
	}
	while ((rc = host_tick(inst, c)) == PM_AGAIN)
		;
	return rc;
}

/* The line before the answer. */
static void
print_user(const struct pm_user *u)
{
	printf("user");
	print_hex(u->key);
	print_hex(u->section);
	printf(" %" PRIu64 " %" PRIu64 " %d %" PRId64, u->quota_octets, u->quota_msgs,
	       u->expire_days, u->valid_until_ms);
	for (uint32_t k = 0; k < u->n_attr; k++) {
		print_hex(u->attr[k].key);
		print_hex(u->attr[k].value);
	}
	putchar('\n');
}

static void
print_answer(const char *id, int32_t rc, int64_t ms, const struct pm_user *u,
	     const struct host_call *c)
{
	pthread_mutex_lock(&out);
	print_user(u);
	printf("%s %s %" PRId64 " %u %u", id, host_code_name(rc), ms, u->state, u->rights);
	print_hex(u->name);
	print_hex(u->cred_id);
	printf(" %" PRId64 " ", u->last_login_ms);
	for (uint32_t k = 0; k < u->n_targets; k++)
		printf("%s%.*s", k ? "," : "", (int)u->targets[k].n, u->targets[k].p);
	printf("%s %s\n", u->n_targets ? "" : "-", c->error);
	fflush(stdout);
	pthread_mutex_unlock(&out);
}

static void
one(char *line)
{
	char name[TEXT_MAX], secret[TEXT_MAX], *at = NULL, *word[5];
	struct rig_call r;
	struct pm_cred cred;
	struct pm_user u;
	int64_t began;
	int32_t rc;

	for (int k = 0; k < 5; k++)
		if (!(word[k] = strtok_r(k ? NULL : line, " \n", &at)) ||
		    strlen(word[k]) > 2 * sizeof(name))
			return;
	host_cred_init(&cred);
	host_user_init(&u);
	cred.kind = PM_CRED_PASSWORD;
	cred.service = (struct pm_str){"pop3", 4};
	cred.peer = (struct pm_str){"192.0.2.1", 9};
	cred.authcid = unhex(word[3], name);
	cred.secret = unhex(word[4], secret);
	began = toolhost_now_ms(NULL);
	rc = answer(word[1], rig_call_ms(&r, strtol(word[2], NULL, 10)), &cred, &u);
	print_answer(word[0], rc, toolhost_now_ms(NULL) - began, &u, &r.call);
	rig_call_end(&r);
}

static void *
worker(void *arg)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	(void)arg;
	for (;;) {
		pthread_mutex_lock(&in);
		n = getline(&line, &cap, stdin);
		pthread_mutex_unlock(&in);
		if (n <= 0)
			break;
		one(line);
	}
	free(line);
	return NULL;
}

int
main(int argc, char **argv)
{
	struct host_setting settings[64];
	struct host_spec spec = {.section = "ask",
				 .purpose = PM_PURPOSE_SERVER,
				 .state_dir = "/nonexistent",
				 .run_dir = "/nonexistent",
				 .settings = settings,
				 .host = &services,
				 .error = print_error};
	pthread_t threads[THREADS_MAX];
	struct host_lib *lib;
	char err[1024];

	signal(SIGPIPE, SIG_IGN); /* as restanted does */
	spec.permits = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	if (spec.permits < 1 || spec.permits > THREADS_MAX) {
		fputs("usage: ask MODULE.so THREADS [KEY=VALUE...]\n", stderr);
		return 64;
	}
	for (int k = 3; k < argc && spec.n_settings < 64; k++) {
		char *eq = strchr(argv[k], '=');

		if (!eq)
			return 64;
		*eq = '\0';
		if (strcmp(argv[k], "name_domain") == 0) { /* the host's own */
			spec.name_domain = eq + 1;
			continue;
		}
		settings[spec.n_settings++] =
			(struct host_setting){.key = argv[k], .value = eq + 1};
	}
	lib = host_load(argv[1], "/", err, sizeof(err));
	if (!lib) {
		fprintf(stderr, "ask: %s\n", err);
		return 78;
	}
	if (!host_check(lib, &spec) || !(inst = host_open(lib, &spec)))
		return 78;
	for (uint32_t k = 0; k < spec.permits; k++)
		if (pthread_create(&threads[k], NULL, worker, NULL) != 0)
			return 71;
	for (uint32_t k = 0; k < spec.permits; k++)
		(void)pthread_join(threads[k], NULL);
	host_retire(inst);
	host_close(inst);
	return 0;
}
