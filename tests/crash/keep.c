/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keep - Badmail, domain counts and volumes without a server, in a process of its own that may be
 * killed. It reads commands from standard input, one a line, and answers each with a line that is
 * flushed at once.
 *
 *   keep CONF
 *     insert retry|refused N OCTETS REASON SENDER RECIPIENT
 *                                  "ID" or "! CODE text", N times (%u in SENDER: a number)
 *     begin OCTETS                 writes a message and leaves it without a commit
 *     remove ID                    "gone" or "missing"
 *     expire N                     how many
 *     totals                       retry items, octets, refused items, octets, dropped, expired,
 *                                  door
 *     door OCTETS                  "open" or "closed text"
 *     admin JSON                   the answer
 *     take DOMAIN OCTETS | keep | back | drop DOMAIN OCTETS MESSAGES | usage DOMAIN |
 *     set DOMAIN OCTETS MESSAGES
 *     hold N                       N times: take 1, keep, drop 1, keep: nothing changes in the end
 *     volume NAME OCTETS           state and text
 *     release PATH                 CODE
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "badmail/badmail.h"
#include "badmail/badmail_admin.h"
#include "badmail/badmail_store.h"
#include "base/clock_note.h"
#include "bind/local.h"
#include "conf/conf.h"
#include "host/answer.h"
#include "mailbox/quota_domain.h"
#include "mailbox/volume.h"
#include "module/backend.h"

static struct conf *c;
static struct quota_hold hold;
static struct backend store; /* of no module: the core does the counting */

static struct pm_str
str(const char *s)
{
	return (struct pm_str){s, strlen(s)};
}

static void
say_failure(int32_t rc, const char *text)
{
	printf("! %s %s\n", host_code_name(rc), text);
}

/* A message of about so many octets. */
static int32_t
write_message(struct badmail *b, uint64_t octets, unsigned k)
{
	char line[80];
	int32_t rc;
	int n = snprintf(line, sizeof(line), "Subject: number %u\r\n\r\n", k);

	rc = badmail_write(b, line, (size_t)n);
	memset(line, 'z', 78);
	memcpy(line + 76, "\r\n", 2);
	for (uint64_t at = (uint64_t)n; rc == PM_OK && at < octets; at += (uint64_t)n) {
		n = octets - at < 78 ? (int)(octets - at) : 78;
		rc = badmail_write(b, line, (size_t)n);
	}
	return rc;
}

static void
insert_one(enum badmail_class cls, uint64_t octets, unsigned k, char *const arg[])
{
	char text[200] = "", sender[200], id[17];
	struct pm_str rcpt = str(arg[5]);
	struct badmail_item item = {.cls = cls,
				    .rcpts = &rcpt,
				    .n_rcpts = 1,
				    .reason = str(arg[3]),
				    .code = str("5.1.1"),
				    .source = str("test")};
	const char *u = strstr(arg[4], "%u");
	struct badmail *b;
	int32_t rc;

	if (u)
		snprintf(sender, sizeof(sender), "%.*s%u%s", (int)(u - arg[4]), arg[4], k, u + 2);
	else
		snprintf(sender, sizeof(sender), "%s", arg[4]);
	item.sender = str(strcmp(sender, "-") == 0 ? "" : sender);
	if (cls == BADMAIL_RETRY)
		item.names = &rcpt;
	rc = badmail_begin(c, &b, text);
	if (rc != PM_OK) {
		say_failure(rc, text);
		return;
	}
	rc = write_message(b, octets, k);
	if (rc == PM_OK)
		rc = badmail_commit(b, &item, id, text);
	if (rc == PM_OK)
		printf("%s\n", id);
	else
		say_failure(rc, text);
	fflush(stdout);
	badmail_end(b);
}

static void
do_insert(char *const arg[])
{
	unsigned n = (unsigned)strtoul(arg[1], NULL, 10);

	for (unsigned k = 0; k < n; k++)
		insert_one(strcmp(arg[0], "retry") == 0 ? BADMAIL_RETRY : BADMAIL_REFUSED,
			   strtoull(arg[2], NULL, 10), k, arg);
}

static void
do_begin(char *const arg[])
{
	struct badmail *b;
	char text[200] = "";
	int32_t rc = badmail_begin(c, &b, text);

	if (rc == PM_OK)
		rc = write_message(b, strtoull(arg[0], NULL, 10), 0);
	printf("%s %s\n", host_code_name(rc), text); /* never ended: the process is */
}

static void
do_remove(char *const arg[])
{
	struct badmail_store st;
	enum badmail_class cls;
	uint64_t id;
	bool gone;

	if (!badmail_id_parse(arg[0], &cls, &id) || badmail_store_lock(c, &st, NULL) != PM_OK) {
		printf("!\n");
		return;
	}
	gone = badmail_store_remove(&st, cls, id, PENDING_REMOVE);
	badmail_store_unlock(&st);
	printf("%s\n", gone ? "gone" : "missing");
}

static void
do_expire(char *const arg[])
{
	struct badmail_store st;
	unsigned n = 0;

	clock_note_look(c->state_dir); /* as a server does */
	if (badmail_store_lock(c, &st, NULL) == PM_OK) {
		n = badmail_store_expire(&st, (unsigned)strtoul(arg[0], NULL, 10));
		badmail_store_unlock(&st);
	}
	printf("%u\n", n);
}

static void
do_totals(char *const arg[])
{
	struct badmail_store st;
	int32_t rc = badmail_store_lock(c, &st, NULL);

	(void)arg;
	if (rc != PM_OK) {
		say_failure(rc, "");
		return;
	}
	(void)badmail_store_unlock(&st);
	for (int k = 0; k < 2; k++)
		printf("%" PRIu64 " %" PRIu64 " ", st.s.cls[k].items, st.s.cls[k].octets);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", st.s.dropped, st.s.expired,
	       st.s.door_closed);
}

static void
do_door(char *const arg[])
{
	char text[200] = "";

	printf("%s",
	       badmail_door(c, strtoull(arg[0], NULL, 10), text, sizeof(text)) ? "open" : "closed");
	printf(" %s\n", text);
}

static json_t *(*ask_badmail)(const json_t *request);

/* As the control socket's table of verbs: all of Badmail's requests have one function. */
static void
keep_verb(const struct request *r, json_t *(*answer)(const json_t *request))
{
	(void)r;
	ask_badmail = answer;
}

static void
do_admin(char *const arg[])
{
	json_t *request = json_loads(arg[0], 0, NULL), *answer;

	badmail_admin_begin(keep_verb);
	answer = request ? ask_badmail(request) : NULL;
	if (answer)
		json_dumpf(answer, stdout, JSON_COMPACT | JSON_SORT_KEYS);
	printf("\n");
	json_decref(answer);
	json_decref(request);
}

/* ---- counts of domains ----------------------------------------------------------------------- */

static void
limits_of(const char *domain, struct quota_limits *l)
{
	char name[300];
	struct pm_user u;

	host_user_init(&u);
	snprintf(name, sizeof(name), "x@%s", domain);
	u.name = str(name);
	quota_fill(c, &u);
	quota_limits(&store, &u, l);
}

static void
do_take(char *const arg[])
{
	struct quota_limits l;
	char text[QUOTA_TEXT_MAX] = "";
	int32_t rc;

	limits_of(arg[0], &l);
	rc = quota_domain_take(c, &l, strtoull(arg[1], NULL, 10), &hold, text);
	printf("%s %s\n", host_code_name(rc), text);
}

static void
do_keep(char *const arg[])
{
	(void)arg;
	quota_domain_end(c, &hold, PM_OK);
	printf("ok\n");
}

static void
do_back(char *const arg[])
{
	(void)arg;
	quota_domain_give_back(c, &hold);
	printf("ok\n");
}

static void
do_drop(char *const arg[])
{
	struct quota_limits l;

	limits_of(arg[0], &l);
	quota_domain_drop(c, &l, strtoull(arg[1], NULL, 10), strtoull(arg[2], NULL, 10), &hold);
	printf("ok\n");
}

static void
do_hold(char *const arg[])
{
	struct quota_limits l;
	unsigned n = (unsigned)strtoul(arg[0], NULL, 10), refused = 0;

	limits_of("example.org", &l);
	for (unsigned k = 0; k < n; k++) {
		refused += quota_domain_take(c, &l, 1, &hold, NULL) != PM_OK;
		quota_domain_end(c, &hold, PM_OK);
		quota_domain_drop(c, &l, 1, 1, &hold);
		quota_domain_end(c, &hold, PM_OK);
	}
	printf("%u\n", refused);
}

static void
do_usage(char *const arg[])
{
	struct quota_usage u;
	int32_t rc = quota_domain_get(c, arg[0], &u);

	if (rc != PM_OK)
		say_failure(rc, "");
	else
		printf("%" PRIu64 " %" PRIu64 " %s %u\n", u.octets, u.msgs,
		       u.doubtful ? "doubtful" : "sure", u.under_way);
}

static void
do_set(char *const arg[])
{
	struct quota_usage u = {0};

	(void)quota_domain_get(c, arg[0], &u); /* never counted */
	printf("%s\n", host_code_name(quota_domain_set(c, arg[0], u.changes, false,
						       strtoull(arg[1], NULL, 10),
						       strtoull(arg[2], NULL, 10))));
}

/* ---- volumes --------------------------------------------------------------------------------- */

static void
do_volume(char *const arg[])
{
	char text[200] = "";

	for (size_t i = 0; i < c->n_volumes; i++)
		if (strcmp(c->volumes[i].name, arg[0]) == 0)
			printf("%s %s\n",
			       volume_state_name(volume_check(c->volumes[i].vol,
							      strtoull(arg[1], NULL, 10), text,
							      sizeof(text))),
			       text);
}

static void
do_release(char *const arg[])
{
	printf("%s\n", host_code_name(volume_reserve_release(arg[0])));
}

/* ---- lines ----------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int args;
	void (*run)(char *const arg[]);
} commands[] = {
	{"insert", 6, do_insert},   {"begin", 1, do_begin},   {"remove", 1, do_remove},
	{"expire", 1, do_expire},   {"totals", 0, do_totals}, {"door", 1, do_door},
	{"admin", 1, do_admin},     {"take", 2, do_take},     {"keep", 0, do_keep},
	{"back", 0, do_back},       {"drop", 3, do_drop},     {"usage", 1, do_usage},
	{"set", 3, do_set},         {"hold", 1, do_hold},     {"volume", 2, do_volume},
	{"release", 1, do_release},
};

static void
run_line(char *line)
{
	char *arg[8], *word = strsep(&line, " ");

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		int n = 0;

		if (strcmp(commands[i].name, word) != 0)
			continue;
		while (n + 1 < commands[i].args && line)
			arg[n++] = strsep(&line, " ");
		if (line)
			arg[n++] = line; /* the last one may hold spaces */
		if (n == commands[i].args)
			commands[i].run(arg);
		else
			printf("! %s takes %d words\n", word, commands[i].args);
		return;
	}
	printf("! no such command\n");
}

int
main(int argc, char **argv)
{
	struct conf_errors e = {0};
	static char line[65536];

	if (argc != 2 || !(c = conf_load(argv[1], &e)) || !local_open(c, true))
		return 64;
	conf_publish(conf_ref(c)); /* the settings that only a server needs may be missing here */
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		run_line(line);
		fflush(stdout);
	}
	conf_publish(NULL);
	local_release(c);
	conf_put(c);
	backend_reap();
	return 0;
}
