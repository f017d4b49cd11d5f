/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restante-conform - does a module keep the contract of restante/module.h? Options, the list of
 * checks, TAP.
 */
#include <fnmatch.h>
#include <ftw.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "host/number.h"
#include "kit.h"

#define EXIT_USAGE 64
#define EXIT_OSERR 71
#define EXIT_CONFIG 78
#define ONLY_MAX 128

static const struct check *const tables[] = {
	checks_contract, checks_auth,  checks_snapshot, checks_octets,
	checks_commit,   checks_hide,  checks_lock,     checks_delivery,
	checks_import,   checks_boxes, checks_limits,   checks_threads,
};

static struct {
	const char *only[ONLY_MAX];
	size_t n_only;
	const char *module, *wrapped;
	bool list;
} opts;

static void
main_usage(FILE *to)
{
	fputs("usage: restante-conform [options] MODULE.so [key=value ...]\n"
	      "  MODULE.so          the module, with its settings as in restante.conf\n"
	      "  -w, --wrap FILE    MODULE.so wraps this module\n"
	      "  -i, --inner K=V    a setting of the wrapped module; may be repeated\n"
	      "  -u, --user NAME    an account that may log in, for the checks of accounts\n"
	      "  -p, --password PW  its password\n"
	      "  -m, --in-memory    the store forgets when it is closed: nothing is shared between "
	      "processes\n"
	      "  -o, --only ID      only these checks: commit.exact, 'lock.*'; may be repeated\n"
	      "  -s, --seconds N    a check's time (default 60)\n"
	      "  -l, --list         print the checks and what each promises, end\n"
	      "  -V, --version      print the version, end\n"
	      "  -h, --help         print this, end\n"
	      "The mailboxes conform0@example.org ... conform99@example.org are emptied again and "
	      "again: never run it\n"
	      "on a store that people use. See restante-conform(1).\n",
	      to);
}

/* ---- options --------------------------------------------------------------------------------- */

/* "key=value", split in place. */
static bool
add_setting(char *text, struct host_setting *list, size_t *n)
{
	char *eq = strchr(text, '=');

	if (!eq || eq == text || *n == 64) {
		fprintf(stderr, "restante-conform: '%s': expected key=value%s\n", text,
			*n == 64 ? ", 64 at most" : "");
		return false;
	}
	*eq = '\0';
	list[(*n)++] = (struct host_setting){.key = text, .value = eq + 1};
	return true;
}

static bool
add_only(const char *id)
{
	if (opts.n_only == ONLY_MAX) {
		fprintf(stderr, "restante-conform: --only: at most %d times\n", ONLY_MAX);
		return false;
	}
	opts.only[opts.n_only++] = id;
	return true;
}

static bool
set_seconds(const char *text)
{
	int64_t n;

	if (!host_parse_number(text, "", &n) || n < 1 || n > 3600) {
		fprintf(stderr, "restante-conform: --seconds %s: expected 1 to 3600\n", text);
		return false;
	}
	setup.seconds = (unsigned)n;
	return true;
}

/* -1: go on; else the exit code. */
static int
one_option(int opt)
{
	switch (opt) {
	case 'w':
		opts.wrapped = optarg;
		return -1;
	case 'i':
		return add_setting(optarg, setup.wrapped_settings, &setup.n_wrapped) ? -1
										     : EXIT_USAGE;
	case 'u':
		setup.user = optarg;
		return -1;
	case 'p':
		setup.password = optarg;
		return -1;
	case 'm':
		setup.in_memory = true;
		return -1;
	case 'o':
		return add_only(optarg) ? -1 : EXIT_USAGE;
	case 's':
		return set_seconds(optarg) ? -1 : EXIT_USAGE;
	case 'l':
		opts.list = true;
		return -1;
	case 'V':
		printf("restante-conform %s (abi %u.%u, draft)\n", PACKAGE_VERSION, PM_ABI_MAJOR,
		       PM_ABI_MINOR);
		return 0;
	case 'h':
		main_usage(stdout);
		return 0;
	default:
		main_usage(stderr);
		return EXIT_USAGE;
	}
}

static int
read_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{"wrap", required_argument, NULL, 'w'},
		{"inner", required_argument, NULL, 'i'},
		{"user", required_argument, NULL, 'u'},
		{"password", required_argument, NULL, 'p'},
		{"in-memory", no_argument, NULL, 'm'},
		{"only", required_argument, NULL, 'o'},
		{"seconds", required_argument, NULL, 's'},
		{"list", no_argument, NULL, 'l'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int opt, rc;

	while ((opt = getopt_long(argc, argv, "w:i:u:p:mo:s:lVh", longs, NULL)) != -1)
		if ((rc = one_option(opt)) != -1)
			return rc;
	if (opts.list)
		return -1;
	if (optind == argc) {
		fputs("restante-conform: no module is named\n", stderr);
		main_usage(stderr);
		return EXIT_USAGE;
	}
	opts.module = argv[optind++];
	for (; optind < argc; optind++)
		if (!add_setting(argv[optind], setup.settings, &setup.n_settings))
			return EXIT_USAGE;
	if (!setup.user != !setup.password) {
		fputs("restante-conform: --user and --password go together\n", stderr);
		return EXIT_USAGE;
	}
	return -1;
}

/* ---- which checks ---------------------------------------------------------------------------- */

/* The reason why a check does not apply to this module; NULL: it does. */
static const char *
not_for_one(const struct pm_module *m, unsigned needs)
{
	const struct {
		unsigned need;
		bool there;
		const char *why;
	} rules[] = {
		{NEED_STORAGE, m->storage, "the module keeps no mail"},
		{NEED_DELIVERY, m->storage && m->delivery, "the module takes no mail"},
		{NEED_AUTH, m->auth, "the module knows no accounts"},
		{NEED_ACCOUNT, setup.user, "no --user and --password"},
		{NEED_SHARED, !setup.in_memory, "--in-memory"},
		{NEED_MARK, m->flags & PM_F_CAN_MARK, "CAN_MARK is not claimed"},
		{NEED_HIDE, m->flags & PM_F_CAN_HIDE, "CAN_HIDE is not claimed"},
		{NEED_IMPORT, m->flags & PM_F_CAN_IMPORT, "CAN_IMPORT is not claimed"},
		{NEED_LIST, m->storage && m->storage->box_list, "no box_list"},
		{NEED_STAT, m->storage && m->storage->box_stat, "no box_stat"},
		{NEED_DELETE, m->storage && m->storage->box_delete, "no box_delete"},
		{NEED_FD, m->storage && m->storage->msg_fd, "no msg_fd"},
		{NEED_SECRET, m->auth && m->auth->secret, "no secret"},
		{NEED_DOMAIN, m->auth && m->auth->domain, "no domain"},
		{NEED_EVENT, m->auth && m->auth->event, "no event"},
		{NEED_PROBE, m->life->probe, "no probe"},
		{NEED_TICK, m->life->tick && m->life->tick_ms, "no tick"},
		{NEED_SETUP, m->life->setup, "no setup"},
		{NEED_COUNTS, m->flags & PM_F_COUNTS, "COUNTS is not claimed"},
	};

	for (size_t k = 0; k < sizeof(rules) / sizeof(rules[0]); k++)
		if ((needs & rules[k].need) && !rules[k].there)
			return rules[k].why;
	return NULL;
}

/* A wrapper does as much as the wrapped module, no more. */
static const char *
not_for(unsigned needs)
{
	const char *why = not_for_one(host_desc(setup.lib), needs);

	if (!why && setup.wrapped)
		why = not_for_one(host_desc(setup.wrapped), needs & ~(NEED_PROBE | NEED_TICK));
	return why;
}

static bool
main_chosen(const struct check *c)
{
	for (size_t k = 0; k < opts.n_only; k++)
		if (fnmatch(opts.only[k], c->id, 0) == 0)
			return true;
	return opts.n_only == 0;
}

static void
main_each(void (*fn)(const struct check *c, void *ctx), void *ctx)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct check *c = tables[t]; c->id; c++)
			if (main_chosen(c))
				fn(c, ctx);
}

/* ---- running --------------------------------------------------------------------------------- */

struct tally {
	unsigned n, bad, skipped;
};

static void
print_one(const struct check *c, void *ctx)
{
	(void)ctx;
	printf("%-20s %s [%s]\n", c->id, c->what, c->clause);
}

static void
count_one(const struct check *c, void *ctx)
{
	(void)c;
	++*(unsigned *)ctx;
}

/* Every line of the text becomes a comment. */
static void
main_explain(const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		printf("# %.*s\n", (int)n, text);
		text += n + (text[n] == '\n');
	}
}

static void
run_one(const struct check *c, void *ctx)
{
	struct tally *t = ctx;
	const char *why = not_for(c->needs);
	struct outcome o = {.how = SKIPPED};

	if (why)
		snprintf(o.text, sizeof(o.text), "%s", why);
	else
		o = run_check(c);
	t->n++;
	t->bad += o.how == FAILED;
	t->skipped += o.how == SKIPPED;
	printf("%sok %u - %s: %s [%s]", o.how == FAILED ? "not " : "", t->n, c->id, c->what,
	       c->clause);
	if (o.how == SKIPPED)
		printf(" # SKIP %s", o.text);
	putchar('\n');
	if (o.how == FAILED)
		main_explain(o.text);
	fflush(stdout);
}

static struct host_lib *
main_load(const char *file)
{
	char path[4096], err[1024];
	struct host_lib *lib;

	if (!realpath(file, path)) {
		fprintf(stderr, "restante-conform: %s: no such file\n", file);
		return NULL;
	}
	lib = host_load(path, "/", err, sizeof(err));
	if (!lib)
		fprintf(stderr, "restante-conform: %s\n", err);
	return lib;
}

/* Settings are checked once here, so that a mistake is one message and not seventy failures. */
static void
main_say(void *ctx, const char *file, unsigned line, const char *text)
{
	(void)ctx;
	(void)file;
	(void)line;
	fprintf(stderr, "restante-conform: %s\n", text);
}

static bool
settings_fit(struct host_lib *lib, const struct host_setting *settings, size_t n)
{
	struct host_spec spec = {.section = "conform",
				 .permits = 1,
				 .purpose = PM_PURPOSE_TOOL,
				 .state_dir = setup.work_dir,
				 .run_dir = setup.work_dir,
				 .settings = settings,
				 .n_settings = n,
				 .error = main_say};

	return host_check(lib, &spec);
}

static bool
make_work_dir(char *dir)
{
	char sub[64];

	if (!mkdtemp(dir))
		return false;
	setup.work_dir = dir;
	snprintf(sub, sizeof(sub), "%s/state", dir);
	if (mkdir(sub, 0700) != 0)
		return false;
	snprintf(sub, sizeof(sub), "%s/run", dir);
	return mkdir(sub, 0700) == 0;
}

static int
remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

static void
remove_work_dir(void)
{
	if (nftw(setup.work_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0)
		fprintf(stderr, "restante-conform: %s could not be removed\n", setup.work_dir);
}

int
main(int argc, char **argv)
{
	char dir[] = "/tmp/restante-conform.XXXXXX";
	struct tally t = {0};
	unsigned n = 0;
	int rc;

	signal(SIGPIPE, SIG_IGN);
	setup.seconds = 60;
	rc = read_options(argc, argv);
	if (rc != -1)
		return rc;
	if (opts.list) {
		main_each(print_one, NULL);
		return 0;
	}
	if (opts.wrapped && !(setup.wrapped = main_load(opts.wrapped)))
		return EXIT_CONFIG;
	if (!(setup.lib = main_load(opts.module)))
		return EXIT_CONFIG;
	if (!make_work_dir(dir)) {
		perror("restante-conform: a directory under /tmp");
		return EXIT_OSERR;
	}
	if (!settings_fit(setup.lib, setup.settings, setup.n_settings) ||
	    (setup.wrapped &&
	     !settings_fit(setup.wrapped, setup.wrapped_settings, setup.n_wrapped))) {
		remove_work_dir();
		return EXIT_CONFIG;
	}
	main_each(count_one, &n);
	printf("1..%u\n", n);
	main_each(run_one, &t);
	printf("# %u checks: %u passed, %u failed, %u do not apply\n", t.n, t.n - t.bad - t.skipped,
	       t.bad, t.skipped);
	remove_work_dir();
	return t.bad || n == 0 ? 1 : 0;
}
