/* SPDX-License-Identifier: Apache-2.0 */
/*
 * act - one delivery or one session on a storage module, through the loader, in a process of its
 * own that may be killed or have its system calls fail. It prints the outcome, a line for each
 * step, and the tests judge it.
 *
 *   act MODULE.so [KEY=VALUE...] deliver USER[,USER...] FILE...
 *   act MODULE.so [KEY=VALUE...] import USER FILE...             file names become unique-ids
 *   act MODULE.so [KEY=VALUE...] session USER [INDEX,INDEX... [hide]]
 *                                  reads all, deletes these (from 0), or hides them for a day
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "small_host.h"

static struct host_inst *inst;

static void
say(const char *what, int32_t rc, const struct host_call *c)
{
	printf("%s %s %s\n", what, host_code_name(rc), c->error);
	fflush(stdout);
}

/* ---- delivery -------------------------------------------------------------------------------- */

/* "ok" for each recipient, or why not. */
static void
deliver(char *users, const char *file, bool import)
{
	const char *slash = strrchr(file, '/');
	struct pm_result res[16];
	struct host_call *c;
	char buf[4096];
	size_t n = 0, got;
	void *d = NULL;
	int32_t rc;
	FILE *f = fopen(file, "r");

	if (!f) {
		perror(file);
		exit(2);
	}
	if ((rc = host_dlv_begin(inst, c = small_call(), 0, import ? PM_DLVF_IMPORT : 0, &d)) !=
	    PM_OK) {
		say("delivery", rc, c);
		goto out;
	}
	for (char *u = strtok(users, ","); u && n < 16; u = strtok(NULL, ",")) {
		struct pm_user user = small_user(u);
		struct pm_rcpt r = {.size = sizeof(r), .user = &user};

		if (import)
			r.uidl = (struct pm_str){slash ? slash + 1 : file,
						 strlen(slash ? slash + 1 : file)};
		if ((rc = host_dlv_rcpt(inst, d, c = small_call(), &r)) != PM_OK)
			goto abort;
		res[n++] = (struct pm_result){.size = sizeof(res[0])};
	}
	while ((got = fread(buf, 1, sizeof(buf), f)) > 0)
		if ((rc = host_dlv_write(inst, d, c = small_call(), buf, got)) != PM_OK)
			goto abort;
	if (ferror(f)) {
		perror(file);
		exit(2); /* ours, not the store's */
	}
	while ((rc = host_dlv_prepare(inst, d, c = small_call(), res)) == PM_AGAIN)
		;
	for (size_t k = 0; k < n && rc == PM_OK; k++)
		rc = res[k].rc;
	if (rc != PM_OK)
		goto abort;
	while ((rc = host_dlv_commit(inst, d, c = small_call(), res)) == PM_AGAIN)
		;
	for (size_t k = 0; k < n && rc == PM_OK; k++)
		rc = res[k].rc;
	say("delivery", rc, c);
	goto out;
abort:
	say("delivery", rc, c);
	host_dlv_abort(inst, d, small_call());
out:
	fclose(f);
}

/* ---- session --------------------------------------------------------------------------------- */

static void
read_all(void *mbox, uint64_t n)
{
	for (uint64_t k = 0; k < n; k++) {
		struct host_call *c;
		struct pm_msg m;
		uint64_t h = 0;
		int32_t rc;

		while ((rc = host_mbox_info(inst, mbox, c = small_call(), k, 1,
					    PM_WANT_UIDL | PM_WANT_OCTETS, &m)) == PM_AGAIN)
			;
		if (rc == PM_OK)
			rc = small_digest(inst, mbox, k, &h);
		if (rc != PM_OK) {
			printf("message %" PRIu64 " %s\n", k, host_code_name(rc));
			continue;
		}
		printf("message %" PRIu64 " OK %.*s %" PRIu64 " %016" PRIx64 "\n", k,
		       (int)m.uidl_len, m.uidl, m.octets, h);
	}
}

static void
commit(void *mbox, uint64_t n, char *list, bool hide)
{
	uint8_t *del = calloc(1, n / 8 + 1);
	struct pm_commit what = {
		.size = sizeof(what), .n = n, .del = del, .now_ms = small_services.wall_ms(NULL)};
	struct host_call *c;
	uint64_t done;
	int32_t rc;

	if (!del)
		exit(2);
	if (hide)
		what.keep_until_ms = what.now_ms + 86400000;
	for (char *i = strtok(list, ","); i; i = strtok(NULL, ",")) {
		unsigned long k = strtoul(i, NULL, 10);

		if (k < n)
			del[k / 8] = (uint8_t)(del[k / 8] | 1u << k % 8);
	}
	do {
		c = small_call();
		memset(c->pm.op_id, 7, sizeof(c->pm.op_id));
		rc = host_mbox_commit(inst, mbox, c, &what, &done);
	} while (rc == PM_AGAIN);
	say("commit", rc, c);
	printf("deleted %" PRIu64 "\n", done);
	free(del);
}

static void
session(const char *name, char *list, bool hide)
{
	struct pm_user u = small_user(name);
	struct host_call *c;
	uint64_t n = 0;
	void *mbox = NULL;
	int32_t rc;

	while ((rc = host_mbox_open(inst, c = small_call(), &u, PM_OPEN_EXCLUSIVE, &n, &mbox)) ==
	       PM_AGAIN)
		;
	say("open", rc, c);
	if (rc != PM_OK)
		return;
	read_all(mbox, n);
	fflush(stdout); /* the choice is on record, whatever happens now */
	if (list)
		commit(mbox, n, list, hide);
	host_mbox_close(inst, mbox, small_call());
	printf("closed %" PRIu64 "\n", n);
}

static void
stat_box(const char *name)
{
	struct pm_user u = small_user(name);
	struct pm_stat s = {.size = sizeof(s)};
	struct host_call *c = small_call();

	int32_t rc;

	do
		rc = host_box_stat(inst, c, &u, &s);
	while (rc == PM_AGAIN);
	say("open", rc, c);
}

int
main(int argc, char **argv)
{
	struct host_setting settings[16];
	const char *state = getenv("ACT_STATE"); /* state_dir */
	struct host_spec spec = {.section = "act",
				 .permits = 1,
				 .purpose = PM_PURPOSE_TOOL,
				 .state_dir = state ? state : "/tmp",
				 .run_dir = "/tmp",
				 .settings = settings,
				 .host = &small_services,
				 .error = small_error};
	struct host_lib *lib;
	char err[1024];
	int at = 2;

	signal(SIGPIPE, SIG_IGN);
	for (; at < argc && strchr(argv[at], '=') && spec.n_settings < 16; at++) {
		char *eq = strchr(argv[at], '=');

		*eq = '\0';
		settings[spec.n_settings++] =
			(struct host_setting){.key = argv[at], .value = eq + 1};
	}
	if (at + 2 > argc) {
		fputs("usage: act MODULE.so [KEY=VALUE...] deliver|import|stat|session USER ...\n",
		      stderr);
		return 64;
	}
	lib = host_load(argv[1], "/", err, sizeof(err));
	if (!lib) {
		fprintf(stderr, "act: %s\n", err);
		return 78;
	}
	if (!host_check(lib, &spec) || !(inst = host_open(lib, &spec)))
		return 78;
	printf("ready\n");
	fflush(stdout);
	if (strcmp(argv[at], "stat") == 0)
		stat_box(argv[at + 1]);
	else if (strcmp(argv[at], "session") != 0)
		for (int k = at + 2; k < argc; k++) {
			char users[4096];

			snprintf(users, sizeof(users), "%s", argv[at + 1]);
			deliver(users, argv[k], strcmp(argv[at], "import") == 0);
		}
	else
		session(argv[at + 1], at + 2 < argc ? argv[at + 2] : NULL,
			at + 3 < argc && strcmp(argv[at + 3], "hide") == 0);
	host_close(inst);
	host_thread_exit();
	return 0;
}
