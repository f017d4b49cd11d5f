/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storm - an mbox whose server dies at every kill point of a deletion or a delivery, with an
 * adversary who uses the time until somebody recovers it:
 *
 *   twin    appends messages that equal existing ones, before, between and after recoveries that
 *           crash as well
 *   reader  another program that rewrites, grows or shortens the end of the file
 *   mover   Dovecot: the padding of one message's X-UID goes to another's, and the size stays
 *
 * and with a disk that, when the power fails too, kept an arbitrary part of the unsynced data.
 *
 *   storm MODULE.so DIR sweep             every kill point, every adversary
 *   storm MODULE.so DIR random SEED N     N runs
 *
 * With the twin, each message is accounted for, in order, with its unique-id. With the reader and
 * the mover, no survivor may be missing from the mailbox and its journal together. Prints a line
 * for each problem; exit code 1 if there was one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "small_host.h"

#define MESSAGES 8
#define EXTRAS 8
#define TEXT (1u << 20)
#define KILLS 60 /* more than there are */
#define DIED 99

enum op { OP_DELETE, OP_DELIVER, OPS };
enum adversary { NOBODY, TWIN, READER, MOVER, ADVERSARIES };

struct plan {
	enum op op;
	enum adversary adversary;
	unsigned kill; /* 0: it lives */
	bool power, twins;
};

struct text {
	char *p;
	size_t n;
};

struct seen {
	int32_t rc;
	size_t n;
	uint64_t digest[MESSAGES + EXTRAS + 2];
	char uidl[MESSAGES + EXTRAS + 2][PM_UIDL_MAX + 1];
};

static const char *dir;
static struct host_lib *lib;
static struct host_spec spec;
static struct host_inst *ours; /* of the process that looks */
static uint64_t dice;
static unsigned long problems, deaths, conflicts;

/* xorshift64*: the same on every machine */
static unsigned
roll(unsigned n)
{
	dice ^= dice >> 12;
	dice ^= dice << 25;
	dice ^= dice >> 27;
	return (unsigned)((dice * 0x2545f4914f6cdd1du) >> 33) % n;
}

/* ---- files ----------------------------------------------------------------------------------- */

static const char *
path_of(const char *name)
{
	static char path[8][600];
	static unsigned turn;

	turn = (turn + 1) % 8;
	snprintf(path[turn], sizeof(path[0]), "%s/%s", dir, name);
	return path[turn];
}

static void
must(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(2);
}

static struct text
slurp(const char *path)
{
	struct text t = {malloc(2 * TEXT), 0};
	FILE *f = fopen(path, "r");

	must(t.p != NULL, "memory");
	if (f) {
		t.n = fread(t.p, 1, 2 * TEXT, f);
		fclose(f);
	}
	return t;
}

/* In place, as mail programs do it. */
static void
spit(const char *path, const struct text *t)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	must(fd != -1 && pwrite(fd, t->p, t->n, 0) == (ssize_t)t->n &&
		     ftruncate(fd, (off_t)t->n) == 0 && close(fd) == 0,
	     path);
}

static void
append(const char *path, const char *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_APPEND);

	must(fd != -1 && write(fd, p, n) == (ssize_t)n && close(fd) == 0, path);
}

/* Everything below a directory of the state; *ret: the path of the last file whose name ends so. */
static bool
state_files(const char *sub, const char *end, bool wipe, char *ret)
{
	char base[600];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(base, sizeof(base), "%s/state/mbox/%s", dir, sub);
	d = opendir(base);
	while (d && (e = readdir(d)) != NULL) {
		size_t n = strlen(e->d_name), k = strlen(end);
		char path[1200];

		snprintf(path, sizeof(path), "%s/%s", base, e->d_name);
		if (e->d_name[0] == '.' || n < k ||
		    (end[0] ? strcmp(e->d_name + n - k, end) != 0 : n != 40))
			continue;
		if (ret)
			memcpy(ret, path, strlen(path) + 1);
		found = true;
		if (wipe)
			must(unlink(path) == 0, path);
	}
	if (d)
		closedir(d);
	return found;
}

static void
wipe(void)
{
	static const char *const subs[] = {"journal", "ledger", "index", "incoming"};
	static const char *const ends[] = {"", ".append", ".conflict", ".new"};

	for (int s = 0; s < 4; s++)
		for (int e = 0; e < 4; e++)
			(void)state_files(subs[s], ends[e], true, NULL);
	for (char c = '0'; c <= 'f'; c++) /* names in incoming/ end in a hex digit */
		(void)state_files("incoming", (char[2]){c, 0}, true, NULL);
	(void)unlink(path_of("mail/ann"));
	(void)unlink(path_of("mail/ann.lock"));
}

/* ---- messages -------------------------------------------------------------------------------- */

static struct text message[MESSAGES];
static size_t n_messages;
static struct text fresh; /* to be delivered */
static char *arena;
static size_t arena_n;

static struct text
make_text(bool stored, unsigned k, size_t body)
{
	struct text t = {arena + arena_n, 0};

	must(arena_n + body + 400 < TEXT, "room");
	t.n = (size_t)(stored ? sprintf(t.p,
					"From a@example.org Mon Jan  1 00:00:0%u 2024\nX-UID: 1   "
					"     \nSubject: number %u\n\nbody %u ",
					k % 10, k, k)
			      : sprintf(t.p, "Subject: fresh\r\n\r\nFrom nobody\r\n>From %u ", k));
	for (size_t i = 0; i < body; i++)
		t.p[t.n++] = i % 60 == 59 ? '\n' : (char)('a' + (i * 7 + k) % 26);
	arena_n += t.n;
	return t;
}

/* A mailbox of a few messages, some of them large. */
static struct text
make_mailbox(bool twins)
{
	struct text all = {malloc(2 * TEXT), 0};

	must(all.p != NULL, "memory");
	arena_n = 0;
	n_messages = 1 + roll(6);
	for (size_t k = 0; k < n_messages; k++) {
		size_t body = roll(12) == 0 ? 70000 + roll(60000) : roll(300);

		if (twins && k > 0) {
			message[k] = message[0];
		} else {
			message[k] = make_text(true, (unsigned)k, body);
			memcpy(message[k].p + message[k].n, "\nthe end\n\n", 10);
			message[k].n += 10;
			arena_n += 10;
		}
		memcpy(all.p + all.n, message[k].p, message[k].n);
		all.n += message[k].n;
	}
	fresh = make_text(false, 77, roll(8) == 0 ? 100000 : roll(200));
	memcpy(fresh.p + fresh.n, "\r\n", 2);
	fresh.n += 2;
	spit(path_of("mail/ann"), &all);
	return all;
}

/* ---- the process that dies ------------------------------------------------------------------- */

static int32_t
enter(struct host_inst *inst, uint64_t *ret_n, void **ret_mbox)
{
	struct pm_user u = small_user("ann");
	int32_t rc;

	*ret_mbox = NULL;
	do
		rc = host_mbox_open(inst, small_call(), &u, PM_OPEN_EXCLUSIVE, ret_n, ret_mbox);
	while (rc == PM_AGAIN);
	return rc;
}

static int32_t
session(struct host_inst *inst, const uint8_t *del)
{
	struct pm_commit what = {.size = sizeof(what), .del = del, .now_ms = 1};
	uint64_t done;
	void *mbox;
	int32_t rc = enter(inst, &what.n, &mbox);

	if (rc != PM_OK)
		return rc;
	while (del) {
		struct host_call *c = small_call();

		memset(c->pm.op_id, 7, sizeof(c->pm.op_id));
		rc = host_mbox_commit(inst, mbox, c, &what, &done);
		if (rc != PM_AGAIN)
			break;
	}
	host_mbox_close(inst, mbox, small_call());
	return rc;
}

static int32_t
deliver(struct host_inst *inst)
{
	struct pm_user u = small_user("ann");
	struct pm_rcpt r = {
		.size = sizeof(r), .user = &u, .head = {"Return-Path: <x@example.org>\r\n", 30}};
	struct pm_result res = {.size = sizeof(res)};
	void *d;
	int32_t rc = host_dlv_begin(inst, small_call(), 0, 0, &d);

	if (rc == PM_OK)
		rc = host_dlv_rcpt(inst, d, small_call(), &r);
	if (rc == PM_OK)
		rc = host_dlv_write(inst, d, small_call(), fresh.p, fresh.n);
	if (rc == PM_OK)
		rc = host_dlv_prepare(inst, d, small_call(), &res);
	if (rc != PM_OK)
		return rc;
	while ((rc = host_dlv_commit(inst, d, small_call(), &res)) == PM_AGAIN)
		;
	return rc == PM_OK ? res.rc : rc;
}

/* In a process that dies at its kill-th point: DIED; 0: it reported OK; 1: something else. */
static int
in_child(unsigned kill, enum op op, const uint8_t *del)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	must(pid != -1, "fork");
	if (pid == 0) {
		struct host_inst *inst;
		char text[16];

		snprintf(text, sizeof(text), "%u", kill);
		if (kill > 0)
			setenv("RESTANTE_KILL_POINT", text, 1);
		inst = host_open(lib, &spec);
		_exit(inst && (op == OP_DELIVER ? deliver(inst) : session(inst, del)) == PM_OK ? 0
											       : 1);
	}
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	if (!WIFEXITED(status)) {
		printf("# a process crashed by itself\n");
		problems++;
	}
	return WEXITSTATUS(status);
}

/* ---- what happens meanwhile ------------------------------------------------------------------ */

/* The journal's phase and where its payload belongs. False: there is no journal. */
static bool
journal_is(uint64_t *ret_phase, uint64_t *ret_start)
{
	uint64_t head[6];
	char path[1200];
	FILE *f = state_files("journal", "", false, path) ? fopen(path, "r") : NULL;

	if (!f)
		return false;
	must(fread(head, sizeof(head), 1, f) == 1 && fclose(f) == 0, path);
	*ret_phase = head[1];
	*ret_start = head[5];
	return true;
}

/* The power fails: any of the unsynced blocks may have reached the disk. */
static void
power_cut(const struct text *before)
{
	struct text now = slurp(path_of("mail/ann"));
	uint64_t head[8] = {0};
	char path[1200];
	bool journal = state_files("journal", "", false, path),
	     record = state_files("journal", ".append", false, NULL);
	FILE *f = journal ? fopen(path, "r") : NULL;

	if (f)
		must(fread(head, sizeof(head), 1, f) == 1 && fclose(f) == 0, path);
	if (f && head[1] == 1) /* phase 1: none of the payload was promised */
		for (size_t at = head[5]; at + 16 <= before->n; at += 16)
			if (roll(2))
				memcpy(now.p + at, before->p + at, 16);
	if (record && now.n > before->n) {
		for (size_t at = before->n; at + 16 <= now.n && roll(2); at += 16 * (1 + roll(100)))
			memset(now.p + at, 0, 16);
		if (roll(2))
			now.n = before->n + roll((unsigned)(now.n - before->n));
	}
	spit(path_of("mail/ann"), &now);
	free(now.p);
}

static size_t extra[EXTRAS], n_extra;

static void
twin(void)
{
	size_t k = roll((unsigned)n_messages);

	if (n_extra == EXTRAS)
		return;
	append(path_of("mail/ann"), message[k].p, message[k].n);
	extra[n_extra++] = k;
}

/* Mutt's way: the whole file again, in place, with a Status header in its last message. */
static void
add_status(struct text *t)
{
	static const char status[] = "Status: RO\n";
	char *last = t->p;

	for (char *p = t->p; (p = memmem(p, t->n - (size_t)(p - t->p), "Subject: ", 9)) != NULL;
	     p++)
		last = p;
	memmove(last + sizeof(status) - 1, last, t->n - (size_t)(last - t->p));
	memcpy(last, status, sizeof(status) - 1);
	t->n += sizeof(status) - 1;
}

static void
reader(void)
{
	struct text t = slurp(path_of("mail/ann"));
	uint64_t phase, start;
	unsigned deep = 8; /* nobody misses the end of the last text */

	/* deeper only where a journal has what it destroys */
	if (journal_is(&phase, &start) && t.n > start + deep)
		deep = t.n - start > 40 ? 40 : (unsigned)(t.n - start);
	switch (t.n > 2 ? roll(4) : 2) {
	case 0:
		add_status(&t);
		break;
	case 1:
		memcpy(t.p + t.n - 2, "!\n", 2);
		break;
	case 2:
		memcpy(t.p + t.n, "X-Status: O\n", 12);
		t.n += 12;
		break;
	default:
		t.n -= 1 + roll(deep);
		break;
	}
	spit(path_of("mail/ann"), &t);
	free(t.p);
}

/* The places in a text where a line ends that begins with X-UID. */
static size_t
paddings(const struct text *t, size_t *ret, size_t cap)
{
	static const char name[] = "\nX-UID: ";
	const char *p = t->p, *end = t->p + t->n;
	size_t n = 0;

	while (n < cap && p < end && (p = memmem(p, (size_t)(end - p), name, 8)) != NULL) {
		p += 8;
		p = memchr(p, '\n', (size_t)(end - p));
		if (!p)
			break;
		ret[n++] = (size_t)(p - t->p);
	}
	return n;
}

/* Some blanks go from one X-UID to another; what is between them moves, and nothing else. */
static void
mover(void)
{
	struct text t = slurp(path_of("mail/ann"));
	size_t at[2 * MESSAGES], n = paddings(&t, at, 2 * MESSAGES), blanks = 0, from, to;

	if (n > 1) {
		from = at[roll((unsigned)n)];
		do
			to = at[roll((unsigned)n)];
		while (to == from);
		while (t.p[from - 1 - blanks] == ' ' && blanks < 5)
			blanks++;
		if (from < to)
			memmove(t.p + from - blanks, t.p + from, to - from);
		else
			memmove(t.p + to + blanks, t.p + to, from - blanks - to);
		memset(t.p + (from < to ? to - blanks : to), ' ', blanks);
	}
	spit(path_of("mail/ann"), &t);
	free(t.p);
	if (roll(4) == 0)
		append(path_of("mail/ann"), message[0].p, message[0].n);
}

/* ---- what is left ---------------------------------------------------------------------------- */

static void
look(struct seen *s)
{
	uint64_t n;
	void *mbox;

	memset(s, 0, sizeof(*s));
	s->rc = enter(ours, &n, &mbox);
	if (s->rc != PM_OK)
		return;
	for (uint64_t k = 0; k < n && k < sizeof(s->digest) / sizeof(s->digest[0]); k++) {
		struct pm_msg m;
		int32_t rc = host_mbox_info(ours, mbox, small_call(), k, 1, PM_WANT_UIDL, &m);

		if (rc == PM_OK)
			rc = small_digest(ours, mbox, k, &s->digest[k]);
		if (rc != PM_OK)
			s->rc = rc;
		memcpy(s->uidl[k], m.uidl, m.uidl_len);
	}
	s->n = n;
	host_mbox_close(ours, mbox, small_call());
}

static bool
uidls_unique(const struct seen *s)
{
	for (size_t a = 0; a < s->n; a++)
		for (size_t b = 0; b < a; b++)
			if (strcmp(s->uidl[a], s->uidl[b]) == 0)
				return false;
	return true;
}

/* Are these the messages of `before` without `del`, then the extras, with or without the fresh one
 * somewhere after the old ones? Messages that stayed keep their unique-ids; a twin may have that
 * of any of its like. */
static bool
accounted(const struct seen *before, const struct seen *now, unsigned del, bool with_fresh,
	  bool twins)
{
	size_t at = 0, x = 0;
	bool had_fresh = !with_fresh;

	for (size_t k = 0; k < before->n; k++) {
		if (del >> k & 1)
			continue;
		if (at >= now->n || now->digest[at] != before->digest[k] ||
		    (!twins && strcmp(now->uidl[at], before->uidl[k]) != 0))
			return false;
		at++;
	}
	for (; at < now->n; at++) {
		if (x < n_extra && now->digest[at] == before->digest[extra[x]])
			x++;
		else if (!had_fresh)
			had_fresh = true;
		else
			return false;
	}
	return x == n_extra && had_fresh;
}

/* No message may have a unique-id that a committed deletion took. */
static bool
none_back(const struct seen *before, const struct seen *now, unsigned del)
{
	for (size_t k = 0; k < before->n; k++)
		for (size_t a = 0; del >> k & 1 && a < now->n; a++)
			if (strcmp(now->uidl[a], before->uidl[k]) == 0)
				return false;
	return true;
}

static bool
judge_twin(const struct plan *p, const struct seen *before, const struct seen *now, unsigned del,
	   bool said_ok)
{
	if (now->rc != PM_OK || !uidls_unique(now))
		return false;
	if (p->op == OP_DELIVER)
		return accounted(before, now, 0, true, p->twins) ||
		       (!said_ok && accounted(before, now, 0, false, p->twins));
	return (accounted(before, now, del, false, p->twins) && none_back(before, now, del)) ||
	       (!said_ok && accounted(before, now, 0, false, p->twins));
}

static bool
judge_reader(const struct seen *now, unsigned del, size_t slack)
{
	struct text all = slurp(path_of("mail/ann"));
	char path[1200];
	bool good = now->rc == PM_OK || now->rc == PM_PERM;

	conflicts += now->rc == PM_PERM;
	for (size_t k = 0; now->rc == PM_OK && k < all.n; k++)
		good = good && !((unsigned char)all.p[k] & 0x80); /* no part of a nonce is left */
	if (state_files("journal", ".conflict", false, path)) {
		struct text j = slurp(path);

		memcpy(all.p + all.n, j.p, j.n);
		all.n += j.n;
		free(j.p);
	}
	for (size_t k = 0; k < n_messages; k++) {
		const char *body = memmem(message[k].p, message[k].n, "\nbody", 5);
		size_t n = message[k].n - (size_t)(body - message[k].p) - slack;

		if (!(del >> k & 1))
			good = good && memmem(all.p, all.n, body, n) != NULL;
	}
	free(all.p);
	return good;
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* The processes that recover it may die as well. */
static void
recoveries(const struct plan *p)
{
	for (unsigned k = roll(4); k > 0 && p->adversary == TWIN; k--) {
		if (roll(10) < 7)
			twin();
		(void)in_child(1 + roll(30), OP_DELETE, NULL);
	}
}

/* Whether it died. */
static bool
run(const struct plan *p, uint64_t seed)
{
	struct seen before, now;
	struct text old;
	uint8_t del[1] = {0};
	int how;
	bool good;

	dice = seed * 0x9e3779b97f4a7c15u + 1;
	wipe();
	n_extra = 0;
	old = make_mailbox(p->twins);
	look(&before);
	del[0] = p->op == OP_DELETE ? (uint8_t)((1 + roll(63)) & ((1u << n_messages) - 1)) : 0;
	how = in_child(p->kill, p->op, del[0] ? del : NULL);
	if (how == DIED) {
		if (p->power)
			power_cut(&old);
		if (p->adversary == TWIN && roll(2))
			twin();
		if (p->adversary == READER)
			reader();
		if (p->adversary == MOVER)
			mover();
	}
	recoveries(p);
	look(&now);
	good = how != 1 && (how == DIED && p->adversary >= READER
				    ? judge_reader(&now, del[0], p->adversary == READER ? 10 : 1)
				    : judge_twin(p, &before, &now, del[0], how == 0));
	if (!good && problems++ < 20)
		printf("# seed %" PRIu64 ": op %d, kill point %u, adversary %d, power %d, twins "
		       "%d, deleted %x of %zu: died %d; "
		       "now %s, %zu messages, %zu extra\n",
		       seed, p->op, p->kill, p->adversary, p->power, p->twins, del[0], before.n,
		       how == DIED, host_code_name(now.rc), now.n, n_extra);
	deaths += how == DIED;
	free(old.p);
	return how == DIED;
}

static void
sweep(void)
{
	unsigned most = 0;

	for (int v = 0; v < OPS * ADVERSARIES * 4; v++) {
		struct plan p = {.op = v % OPS,
				 .adversary = v / OPS % ADVERSARIES,
				 .power = v / OPS / ADVERSARIES % 2,
				 .twins = v / OPS / ADVERSARIES / 2};
		unsigned died = 1;

		if (p.twins && p.adversary >= READER)
			continue; /* whose messages have to differ */
		for (p.kill = 1; died > 0 && p.kill < KILLS; p.kill++) {
			died = 0;
			for (uint64_t seed = 1; seed <= 3; seed++)
				died += run(&p, seed * 1000 + p.kill);
		}
		most = p.kill > most ? p.kill : most;
	}
	printf("sweep: %lu deaths at up to %u kill points, %lu conflicts, %lu problems\n", deaths,
	       most - 2, conflicts, problems);
}

static void
random_runs(uint64_t seed, unsigned long n)
{
	for (unsigned long k = 0; k < n; k++) {
		struct plan p;

		dice = (seed + k) * 0x2545f4914f6cdd1du + 7;
		(void)roll(2);
		p = (struct plan){.op = roll(3) == 0 ? OP_DELIVER : OP_DELETE,
				  .adversary = roll(ADVERSARIES),
				  .kill = roll(28),
				  .power = roll(2),
				  .twins = roll(2)};
		p.twins = p.twins && p.adversary < READER;
		(void)run(&p, seed + k);
	}
	printf("random: %lu runs, %lu deaths, %lu conflicts, %lu problems\n", n, deaths, conflicts,
	       problems);
}

int
main(int argc, char **argv)
{
	static struct host_setting settings[3];
	static char path[600], state[600];
	char err[1024];

	if (argc < 4)
		return 64;
	dir = argv[2];
	snprintf(path, sizeof(path), "%s/mail/%%u", dir);
	snprintf(state, sizeof(state), "%s/state", dir);
	(void)mkdir(path_of("mail"), 0700);
	(void)mkdir(state, 0700);
	settings[0] = (struct host_setting){.key = "path", .value = path};
	settings[1] = (struct host_setting){.key = "fsync",
					    .value = "no"}; /* processes die here, not machines */
	spec = (struct host_spec){.section = "storm",
				  .permits = 4,
				  .purpose = PM_PURPOSE_TOOL,
				  .state_dir = state,
				  .run_dir = dir,
				  .settings = settings,
				  .n_settings = 2,
				  .host = &small_services,
				  .error = small_error};
	small_quiet = true;
	arena = malloc(TEXT);
	lib = host_load(argv[1], "/", err, sizeof(err));
	if (!arena || !lib || !host_check(lib, &spec) || !(ours = host_open(lib, &spec))) {
		fprintf(stderr, "storm: %s\n", lib ? "cannot open" : err);
		return 78;
	}
	if (strcmp(argv[3], "sweep") == 0)
		sweep();
	else if (argc > 5)
		random_runs(strtoull(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
	wipe();
	host_close(ours);
	free(arena);
	return problems > 0;
}
