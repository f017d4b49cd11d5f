/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor, life, and the limits of a module within the process it lives in. */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kit.h"

/* ---- a short working day: what the checks below look around ---------------------------------- */

static void
storage_day(struct inst *in)
{
	struct box b;
	struct pm_msg m[4];

	if (in->m->delivery) {
		kit_empty(in, 0);
		kit_deliver_many(in, 0, "day", 4);
	}
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	if (in->m->delivery) {
		uint8_t del[1] = {0};

		box_info(&b, 0, 4, PM_WANT_OCTETS | PM_WANT_UIDL, m);
		free(box_read(&b, 1, 100).p);
		map_set(del, 0);
		expect_rc("mbox_commit", box_commit(&b, del, NULL, NULL, 0), PM_OK);
	}
	box_close(&b);
}

static void
auth_day(struct inst *in)
{
	struct pm_cred c;
	struct pm_user u;

	host_cred_init(&c);
	c.kind = PM_CRED_PASSWORD;
	c.service = kit_str("pop3");
	c.mech = kit_str("USER");
	c.authcid = kit_str(setup.user ? setup.user : "nobody-there@example.org");
	c.secret = kit_str("certainly wrong");
	host_user_init(&u);
	(void)in->m->auth->verify(in->i, kit_pm(), &c, &u); /* whatever it says */
	host_user_init(&u);
	(void)in->m->auth->lookup(in->i, kit_pm(), &c, &u);
}

static void
contract_day(struct inst *in)
{
	if (in->m->storage)
		storage_day(in);
	if (in->m->auth)
		auth_day(in);
}

static size_t
contract_entries(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	EXPECT(d, "cannot read %s", dir);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* ---- descriptor ------------------------------------------------------------------------------ */

static bool
word_ok(struct pm_str s)
{
	if (s.n == 0 || s.n > 64 || s.p[0] < 'a' || s.p[0] > 'z')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_", s.p[i]))
			return false;
	return true;
}

static void
descriptor_names(void)
{
	const struct pm_module *m = host_desc(setup.lib);

	EXPECT(word_ok(m->name), "the name '%.*s' is not [a-z][a-z0-9_]*", (int)m->name.n,
	       m->name.p);
	EXPECT(m->version.n > 0, "the version is empty");
	EXPECT(m->licence.n > 0, "the licence is empty: an SPDX identifier is expected");
	EXPECT(m->auth || m->storage, "neither auth nor storage");
	EXPECT(!m->delivery || m->storage, "delivery without storage");
}

static void
descriptor_constant(void)
{
	void *so = dlopen(host_path(setup.lib), RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
	const struct pm_module *(*entry)(uint32_t, uint32_t);
	uint32_t n = 0;

	EXPECT(so, "dlopen: %s", dlerror());
	*(void **)(&entry) = dlsym(so, "pm_module_v1");
	EXPECT(entry, "dlsym: %s", dlerror());
	while (n < 100 && entry(PM_ABI_MINOR, n)) {
		EXPECT(entry(PM_ABI_MINOR, n) == entry(PM_ABI_MINOR, n),
		       "index %u is another one each time", n);
		n++;
	}
	EXPECT(n < 100, "pm_module_v1 never ends: NULL is expected past the last index");
	EXPECT(!entry(PM_ABI_MINOR, UINT32_MAX), "pm_module_v1(minor, 4294967295) is not NULL");
}

static void
descriptor_options(void)
{
	const struct pm_module *m = host_desc(setup.lib);

	for (uint32_t i = 0; i < m->n_options; i++) {
		const struct pm_option *o =
			(const struct pm_option *)(const void *)((const char *)m->options +
								 (size_t)i * m->option_stride);

		EXPECT(word_ok(o->key), "option %u: the key '%.*s' is not [a-z][a-z0-9_]*", i,
		       (int)o->key.n, o->key.p);
		EXPECT(o->type >= PM_OPT_STRING && o->type <= PM_OPT_CHOICE,
		       "option %.*s: unknown type %u", (int)o->key.n, o->key.p, o->type);
		EXPECT(o->doc.n > 0,
		       "option %.*s has no doc: one sentence for `restantectl modules doc`",
		       (int)o->key.n, o->key.p);
		EXPECT(o->type != PM_OPT_CHOICE || memchr(o->unit.p, '|', o->unit.n),
		       "option %.*s: a choice needs two words or more in unit: \"a|b\"",
		       (int)o->key.n, o->key.p);
		EXPECT(!(o->flags & PM_OPTF_REQUIRED) || o->dflt.n == 0,
		       "option %.*s is required and has a default", (int)o->key.n, o->key.p);
	}
}

/* ---- configuration --------------------------------------------------------------------------- */

static void
open_without(void)
{
	const struct pm_module *m = host_desc(setup.lib);
	bool required = false;

	for (uint32_t i = 0; i < m->n_options; i++) {
		const struct pm_option *o =
			(const struct pm_option *)(const void *)((const char *)m->options +
								 (size_t)i * m->option_stride);

		required = required || (o->flags & PM_OPTF_REQUIRED);
	}
	if (!required)
		kit_skip("no setting is required");
	EXPECT(!kit_try_open(NULL, 0, 1), "it opened without its required settings");
	EXPECT(*kit_errors, "nothing was reported");
}

static void
open_permits(void)
{
	struct inst *in = kit_try_open(setup.settings, setup.n_settings, 1);

	EXPECT(in, "with one permit it does not open: %s", kit_errors);
	contract_day(in);
	kit_close(in);
	in = kit_try_open(setup.settings, setup.n_settings, 64);
	EXPECT(in, "with 64 permits it does not open: %s", kit_errors);
	contract_day(in);
	kit_close(in);
}

static void
two_instances(void)
{
	struct inst *a = kit_open(), *b = kit_open();

	EXPECT(a->i != b->i || !a->i, "both instances are the same object");
	contract_day(a);
	contract_day(b);
	kit_close(a);
	contract_day(b); /* if it shared anything with the other, that is gone now */
	kit_close(b);
}

/* ---- the process ----------------------------------------------------------------------------- */

static void *
contract_nothing(void *arg)
{
	return arg;
}

static void
no_thread_left(void)
{
	size_t before, after = 0;
	struct inst *in;
	pthread_t t;

	/* the first thread of a process starts one of the sanitizer's, which stays */
	EXPECT(pthread_create(&t, NULL, contract_nothing, NULL) == 0 && pthread_join(t, NULL) == 0,
	       "cannot start a thread");
	before = contract_entries("/proc/self/task");
	in = kit_open();

	contract_day(in);
	kit_close(in);
	for (int i = 0; i < 50 && (after = contract_entries("/proc/self/task")) > before; i++)
		usleep(20000); /* a joined thread takes a moment to leave /proc */
	EXPECT(after <= before, "%zu threads are left after close", after - before);
}

static void
no_file_left(void)
{
	size_t before, after;
	struct inst *in = kit_open();

	contract_day(in);
	kit_close(in); /* a descriptor that a library opens once and keeps does not count */
	before = contract_entries("/proc/self/fd");
	for (int i = 0; i < 3; i++) {
		in = kit_open();
		contract_day(in);
		kit_close(in);
	}
	after = contract_entries("/proc/self/fd");
	EXPECT(after <= before, "three instances left %zu descriptors open", after - before);
}

static void
no_memory_left(void)
{
	struct inst *in = kit_open();
	size_t before, after;

	for (int i = 0; i < 40; i++)
		contract_day(in); /* caches fill */
	before = mallinfo2().uordblks;
	for (int i = 0; i < 200; i++)
		contract_day(in);
	after = mallinfo2().uordblks;
	kit_close(in);
	/* alloc()'s memory is the kit's and stays: at most 4 KiB a day */
	EXPECT(after < before + 200 * 4096, "200 days took %zu KiB more memory",
	       (after - before) / 1024);
}

struct surroundings {
	char cwd[4096], locale[256];
	mode_t mask;
	struct sigaction actions[32];
};

static void
contract_look(struct surroundings *s)
{
	memset(s, 0, sizeof(*s));
	EXPECT(getcwd(s->cwd, sizeof(s->cwd)), "getcwd failed");
	snprintf(s->locale, sizeof(s->locale), "%s", setlocale(LC_ALL, NULL));
	s->mask = umask(077);
	(void)umask(s->mask);
	for (int k = 1; k < 32; k++)
		/* every signal but SIGKILL and SIGSTOP can be asked for */
		(void)sigaction(k, NULL, &s->actions[k]);
}

static void
process_untouched(void)
{
	struct surroundings a, b;
	struct inst *in;

	contract_look(&a);
	in = kit_open();
	contract_day(in);
	kit_close(in);
	contract_look(&b);
	EXPECT(strcmp(a.cwd, b.cwd) == 0, "the working directory became %s", b.cwd);
	EXPECT(strcmp(a.locale, b.locale) == 0, "the locale became %s", b.locale);
	EXPECT(a.mask == b.mask, "umask became %03o", b.mask);
	for (int k = 1; k < 32; k++)
		EXPECT(a.actions[k].sa_handler == b.actions[k].sa_handler,
		       "the action of signal %d was changed", k);
}

static void
contract_quiet(void)
{
	char text[200] = "";
	FILE *f = tmpfile();
	int out = dup(1), err = dup(2);
	struct inst *in;
	size_t n;

	EXPECT(f && out != -1 && err != -1, "cannot make a temporary file");
	fflush(NULL);
	EXPECT(dup2(fileno(f), 1) != -1 && dup2(fileno(f), 2) != -1, "dup2 failed");
	in = kit_open();
	contract_day(in);
	kit_close(in);
	fflush(NULL);
	(void)dup2(out, 1);
	(void)dup2(err, 2);
	(void)close(out);
	(void)close(err);
	rewind(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	EXPECT(n == 0, "it printed: %s", text);
}

/* ---- background ------------------------------------------------------------------------------ */

static void
contract_probe(void)
{
	struct inst *in = kit_open();

	expect_rc("probe", in->m->life->probe(in->i, kit_pm()), PM_OK);
	kit_close(in);
}

static void
contract_tick(void)
{
	struct inst *in = kit_open();
	int32_t rc;

	contract_day(in);
	for (int i = 0; i < 3; i++) {
		for (unsigned k = 0;
		     (rc = in->m->life->tick(in->i, kit_pm())) == PM_AGAIN && k < 100000; k++)
			;
		expect_rc("tick", rc, PM_OK);
	}
	contract_day(in);
	kit_close(in);
}

/* A second setup changes nothing, and neither does an unknown word. */
static void
set_up(void)
{
	struct inst *in = kit_open();
	int32_t rc;

	contract_day(in);
	for (int k = 0; k < 2; k++) {
		while ((rc = in->m->life->setup(in->i, kit_pm(), kit_str(""))) == PM_AGAIN)
			;
		expect_rc("setup", rc, PM_OK);
	}
	expect_rc("setup with a word that is none",
		  in->m->life->setup(in->i, kit_pm(), kit_str("no such word")), PM_UNSUPPORTED);
	EXPECT(*kit_said(), "PM_UNSUPPORTED without a reason");
	contract_day(in);
	kit_close(in);
}

static void
contract_retire(void)
{
	struct inst *in = kit_open();
	struct box b;

	if (!in->m->life->retire)
		kit_skip("the module has no retire");
	if (in->m->storage)
		b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	in->m->life->retire(in->i);
	if (in->m->storage)
		box_close(&b);
	if (in->m->auth)
		auth_day(in);
	kit_close(in);
}

const struct check checks_contract[] = {
	{"descriptor.names", "struct pm_module",
	 "name, version and licence are there, and auth or storage", 0, descriptor_names},
	{"descriptor.constant", "pm_module_v1", "the descriptors are constant and end with NULL", 0,
	 descriptor_constant},
	{"descriptor.options", "struct pm_option",
	 "every setting has a legal key, a known type and a sentence", 0, descriptor_options},
	{"open.required", "pm_life.check", "missing settings are reported and nothing is opened", 0,
	 open_without},
	{"open.permits", "pm_open.permits", "it works with 1 permit and with 64", 0, open_permits},
	{"open.twice", "R12", "two instances are independent of each other", 0, two_instances},
	{"close.threads", "R8", "no thread is left after close", 0, no_thread_left},
	{"close.files", "pm_life.close", "no descriptor is left after close", 0, no_file_left},
	{"close.memory", "R4", "memory does not grow from session to session", 0, no_memory_left},
	{"process.untouched", "R8", "directory, umask, locale and signal actions stay as they were",
	 0, process_untouched},
	{"process.quiet", "R8", "nothing goes to standard output or standard error", 0,
	 contract_quiet},
	{"life.probe", "pm_life.probe", "the backend is there", NEED_PROBE, contract_probe},
	{"life.tick", "pm_life.tick", "background work ends, and disturbs nothing", NEED_TICK,
	 contract_tick},
	{"life.setup", "pm_life.setup",
	 "may be repeated; an unknown word: PM_UNSUPPORTED and a reason", NEED_SETUP, set_up},
	{"life.retire", "pm_life.retire", "handles that are open live on", 0, contract_retire},
	{0},
};
