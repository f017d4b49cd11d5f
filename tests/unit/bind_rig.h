/* SPDX-License-Identifier: Apache-2.0 */
/* bind_rig - configurations with real modules, bound, and the gates they have. */
#ifndef TESTS_UNIT_BIND_RIG_H
#define TESTS_UNIT_BIND_RIG_H

#include "conf_rig.h"

#include <stdio.h>

#include "bind/bind.h"
#include "module/backend.h"
#include "rig.h"
#include "work/gate_status.h"

#define AUTH(name, module, more) "auth " name " {\nmodule = " module "\n" more "}\n"
#define STORE(name, module, more) "storage " name " {\nmodule = " module "\n" more "}\n"
#define USUAL AUTH("a", "ram", "user = ann:secret\n") STORE("s", "ram", "messages = 2\n")

/* A file with these sections; its first 12 lines are not theirs. */
static struct conf *
conf_of(const char *workers, const char *sections)
{
	char text[8192];

	snprintf(text, sizeof(text),
		 "config_version = 1\nmodule_dir = %s\nstate_dir = %s\nrun_dir = %s\nmax_sessions "
		 "= 10\n%s\n"
		 "listener l {\naddress = 127.0.0.1\nport = 1\ntls = none\nplaintext_login = "
		 "allow\n}\n%s",
		 rig_dir(), rig_dir(), rig_dir(), workers, sections);
	return load_good(text);
}

#define W16 "workers = 16\nreserve = 4"

static struct conf *
bound(const char *workers, const char *sections, struct conf *old)
{
	struct conf *c = conf_of(workers, sections);

	if (!bind_open(c, old, false, &errors))
		fail_msg("%s\n%s", sections, said);
	return c;
}

static void
gone(struct conf *c)
{
	conf_put(c);
	backend_reap();
}

/* "kind:name permits" of every gate, in the order of the alphabet. */
struct list {
	char lines[16][80];
	size_t n;
};

static void
add_gate(const struct gate_status *s, void *ctx)
{
	struct list *l = ctx;

	assert_true(l->n < 16);
	snprintf(l->lines[l->n++], sizeof(l->lines[0]), "%s %u, ", s->name, s->limits.permits);
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static const char *
gates(void)
{
	static char text[1300];
	struct list l = {.n = 0};
	size_t at = 0;

	gate_status_each(add_gate, &l);
	qsort(l.lines, l.n, sizeof(l.lines[0]), by_text);
	text[0] = '\0';
	for (size_t k = 0; k < l.n; k++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", l.lines[k]);
	return text;
}

/* The number of instances that the serial module has open. */
static unsigned
serial_instances(const struct backend *b)
{
	return (unsigned)(host_caps(b->inst) >> 16);
}

static int
tidy(void **state)
{
	(void)state;
	gate_fini_all();
	return 0;
}

static int
bind_begin(void **state)
{
	static const char *const modules[] = {"ram", "fault", "passwd", "serial", NULL};

	(void)rig_begin(modules);
	return begin(state);
}

static int
bind_end(void **state)
{
	rig_end();
	return end(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, NULL, tidy)

#endif
