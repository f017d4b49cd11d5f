/* SPDX-License-Identifier: Apache-2.0 */
/* The files that the loader trusts, those it refuses and in which words, and how settings become
 * values. */
#include "host/inst.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/nearest.h"
#include "host/number.h"
#include "odd_module.h"
#include "rig.h"

static char err[600];

/* The odd module's switch: the loader's later dlopen finds the same copy. */
static void
choose(enum odd what)
{
	char path[200];
	void *dl, *symbol;
	void (*set)(enum odd);

	snprintf(path, sizeof(path), "%s/odd.so", rig_dir());
	dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(dl);
	symbol = dlsym(dl, "odd_choose");
	assert_non_null(symbol);
	memcpy(&set, &symbol, sizeof(set));
	set(what);
}

static void
expect_refused(const char *module, const char *part)
{
	err[0] = '\0';
	assert_null(host_load(module, rig_dir(), err, sizeof(err)));
	if (!strstr(err, part))
		fail_msg("expected '%s' in: %s", part, err);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void
refuses_files_that_are_no_modules(void **state)
{
	char path[300];

	(void)state;
	expect_refused("nosuch", "module_dir says where modules are");
	expect_refused("a/b", "give a name, or an absolute file name");
	expect_refused("/nonexistent/x.so", "No such file");
	(void)rig_file("text.so", "not a library\n", 14);
	expect_refused("text", "ldd");
	expect_refused(rig_dir(), "is not a regular file");
	expect_refused("next", "its abi is 2, ours is 1.0; install a newer restante");
	snprintf(path, sizeof(path), "%s/odd.so", rig_dir());
	choose(ODD_NONE);
	expect_refused("odd_by_another_name", "No such file");
}

static void
refuses_files_that_others_can_write(void **state)
{
	char path[300];

	(void)state;
	snprintf(path, sizeof(path), "%s/odd.so", rig_dir());
	assert_int_equal(chmod(path, 0664), 0);
	expect_refused("odd", "chmod go-w");
	assert_int_equal(chmod(path, 0646), 0);
	expect_refused("odd", "(mode 0646)");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chmod(rig_dir(), 0777), 0);
	expect_refused("odd", rig_dir());
	assert_int_equal(chmod(rig_dir(), 0700), 0);
	if (geteuid() == 0) { /* only root can give a file away */
		assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
		expect_refused("odd", "belongs to user id 12345; it must belong to root");
		assert_int_equal(chown(path, 0, (gid_t)-1), 0);
	}
}

/* A link is followed once, by name; the file it leads to is checked, and that file is loaded. */
static void
judges_the_file_behind_a_link(void **state)
{
	char link_path[300], open_dir[300], hidden[400];

	(void)state;
	snprintf(open_dir, sizeof(open_dir), "%s/open", rig_dir());
	snprintf(hidden, sizeof(hidden), "%s/x.so", open_dir);
	snprintf(link_path, sizeof(link_path), "%s/linked.so", rig_dir());
	assert_int_equal(mkdir(open_dir, 0777), 0);
	assert_int_equal(chmod(open_dir, 0777), 0);
	assert_int_equal(link(rig_file("copy.so", "x", 1), hidden), 0);
	assert_int_equal(symlink(hidden, link_path), 0);
	expect_refused("linked", "/open' can be written by others");
	assert_int_equal(unlink(link_path), 0);
	assert_int_equal(unlink(hidden), 0);
	assert_int_equal(rmdir(open_dir), 0);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static void
refuses_descriptors_that_do_not_fit(void **state)
{
	static const struct {
		enum odd odd;
		const char *text;
	} cases[] = {
		{ODD_MAJOR, "its abi is 2.0, ours is 1.0; install a newer restante"},
		{ODD_MINOR, "its abi is 1.7, ours is 1.0"},
		{ODD_DRAFT, "PM_F_DRAFT"},
		{ODD_SMALL, "its descriptor is 8 bytes, too small"},
		{ODD_VERIFY, "it has no auth.verify"},
		{ODD_LIFE, "it has no life.open"},
		{ODD_NOTHING, "it has no auth, storage or delivery"},
		{ODD_DELIVERY, "it has no delivery.dlv_rcpt"},
		{ODD_OPTION, "option 1 of its schema"},
		{ODD_INIT, "its global_init failed"},
	};
	char path[300];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		choose(cases[i].odd);
		expect_refused("odd", cases[i].text);
	}
	choose(ODD_NAME);
	expect_refused("odd", "holds no module called 'odd'");
	snprintf(path, sizeof(path), "%s/odd.so", rig_dir());
	expect_refused(path, "no valid name");
}

static void
takes_other_sizes(void **state)
{
	const struct pm_module *m;
	struct host_lib *lib, *second;
	char path[300];

	(void)state;
	choose(ODD_LARGE);
	second = host_load("second", rig_dir(), err, sizeof(err));
	assert_null(second); /* it is in odd.so, and second.so is not there */
	snprintf(path, sizeof(path), "%s/odd.so", rig_dir());
	lib = host_load("odd", rig_dir(), err, sizeof(err));
	assert_non_null(lib);
	m = host_desc(lib);
	assert_int_equal(m->size, sizeof(*m));
	assert_non_null(m->auth->event);
	assert_null(m->auth->secret);
	assert_null(m->storage);
	assert_string_equal(host_path(lib), path);
	/* the same again, under both its names; global_init runs once */
	assert_ptr_equal(host_load(path, rig_dir(), err, sizeof(err)), lib);
	assert_ptr_equal(host_load("odd", rig_dir(), err, sizeof(err)), lib);
}

static void
a_method_beyond_the_end_does_not_exist(void **state)
{
	struct host_lib *lib;
	char path[300], other[300];

	(void)state;
	snprintf(path, sizeof(path), "%s/odd.so", rig_dir());
	snprintf(other, sizeof(other), "%s/second.so", rig_dir());
	assert_int_equal(symlink(path, other), 0);
	choose(ODD_SHORT_TABLE);
	lib = host_load("second", rig_dir(), err, sizeof(err)); /* a file may hold several */
	assert_int_equal(unlink(other), 0);
	assert_non_null(lib);
	assert_int_equal(host_desc(lib)->auth->size, sizeof(struct pm_auth));
	assert_null(host_desc(lib)->auth->event);
	assert_non_null(host_desc(lib)->auth->lookup);
	/* a file's name means its first module, whichever was loaded last */
	assert_ptr_not_equal(host_load(path, rig_dir(), err, sizeof(err)), lib);
}

/* ---- settings -------------------------------------------------------------------------------- */

#define SET(k, v) \
	{ \
		k, v, "a.conf", __LINE__ \
	}

static struct host_lib *
odd_lib(void)
{
	struct host_lib *lib;

	choose(ODD_NONE);
	lib = host_load("odd", rig_dir(), err, sizeof(err));
	assert_non_null(lib);
	return lib;
}

static void
settings_become_values(void **state)
{
	static const struct host_setting given[] = {
		SET("also", "one"), SET("name", "n"),      SET("wait", "5 s"),
		SET("room", "10K"), SET("times", "3"),     SET("safe", "Off"),
		SET("dir", "/tmp"), SET("colour", "blue"), SET("also", "and two"),
		SET("pin", "1234"),
	};
	struct host_lib *lib = odd_lib();
	struct host_spec spec;
	struct host_inst *i;

	(void)state;
	rig_spec(&spec, given, sizeof(given) / sizeof(given[0]));
	assert_true(host_check(lib, &spec));
	i = host_open(lib, &spec);
	assert_string_equal(rig_errors, "");
	assert_non_null(i);
	assert_string_equal(i->inst,
			    "name=n/0 wait=5 s/5000 room=10K/10240 times=3/3 safe=Off/0 dir=/tmp/0 "
			    "colour=blue/2 also=one/0 also=and two/0 pin=1234/1234 part=abc/0 ");
	host_retire(i);
	host_close(i);
	rig_spec(&spec, given + 1, 1); /* the rest by default */
	i = host_open(lib, &spec);
	assert_non_null(i);
	assert_string_equal(i->inst, "name=n/0 wait=2s/2000 safe=yes/1 colour=green/1 part=abc/0 ");
	host_close(i);
	host_close(NULL);
	host_retire(NULL);
}

static void
all_errors_of_a_section_are_reported(void **state)
{
	static const struct host_setting given[] = {
		{"wiat", "5s", "a.conf", 2},      {"wait", "5 parsecs", "a.conf", 3},
		{"safe", "maybe", "a.conf", 4},   {"dir", "relative", "a.conf", 5},
		{"colour", "mauve", "a.conf", 6}, {"times", "-1", "a.conf", 7},
		{"times", "2", "a.conf", 8},      {"pin", "hunter2", "a.conf", 9},
		{"zzz", "1", "a.conf", 10},
	};
	static const char *const expected[] = {
		"a.conf:2: section test: module odd knows no setting 'wiat'; did you mean 'wait'?",
		"a.conf:3: section test: wait = 5 parsecs: expected a number with or without a "
		"unit, counted in ms",
		"a.conf:4: section test: safe = maybe: expected yes or no",
		"a.conf:5: section test: dir = relative: expected an absolute file name",
		"a.conf:6: section test: colour = mauve: expected one of red|green|blue",
		"a.conf:7: section test: times = -1: expected a number",
		"a.conf:8: section test: times is given twice",
		"a.conf:9: section test: pin: expected a number",
		"a.conf:10: section test: module odd knows no setting 'zzz'\n",
		"section test: name is missing: what it is for",
	};
	struct host_lib *lib = odd_lib();
	struct host_spec spec;

	(void)state;
	rig_spec(&spec, given, sizeof(given) / sizeof(given[0]));
	assert_false(host_check(lib, &spec));
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		if (!strstr(rig_errors, expected[i]))
			fail_msg("expected '%s' in:\n%s", expected[i], rig_errors);
	assert_null(strstr(rig_errors, "hunter2")); /* secrets are never shown */
}

static void
a_module_refuses_its_settings(void **state)
{
	static const struct host_setting given[] = {{"name", "n", "a.conf", 1},
						    {"wait", "3", "a.conf", 2}};
	static const struct host_setting misspelt[] = {
		{"name", "n", "a.conf", 1}, {"wait", "3", "a.conf", 2}, {"zzz", "1", "a.conf", 3}};
	struct host_lib *lib = odd_lib();
	struct host_spec spec;

	(void)state;
	rig_spec(&spec, given, 2);
	choose(ODD_CHECK);
	assert_false(host_check(lib, &spec));
	assert_string_equal(rig_errors, "a.conf:2: section test: wait: three?is too many\n");
	rig_spec(&spec, misspelt, 3); /* a misspelt setting hides nothing */
	assert_false(host_check(lib, &spec));
	assert_non_null(strstr(rig_errors, "knows no setting 'zzz'"));
	assert_non_null(strstr(rig_errors, "a.conf:2: section test: wait: three?is too many\n"));
	rig_spec(&spec, given, 2);
	choose(ODD_CHECK_MUTE);
	assert_false(host_check(lib, &spec));
	assert_non_null(strstr(rig_errors, "does not say why"));
	rig_spec(&spec, given, 2);
	choose(ODD_OPEN);
	assert_null(host_open(lib, &spec));
	assert_non_null(strstr(rig_errors, "could not be opened and does not say why"));
}

/* ---- numbers, names -------------------------------------------------------------------------- */

static void
numbers(void **state)
{
	static const struct {
		const char *text, *unit;
		int64_t value; /* -1: none */
	} cases[] = {
		{"0", "", 0},
		{"12", "", 12},
		{"12s", "", -1},
		{"", "", -1},
		{"+1", "", -1},
		{"-1", "", -1},
		{" 1", "", -1},
		{"1 ", "", 1},
		{"1x", "ms", -1},
		{"250", "ms", 250},
		{"250ms", "ms", 250},
		{"2 s", "ms", 2000},
		{"1m", "ms", 60000},
		{"1min", "ms", 60000},
		{"1h", "ms", 3600000},
		{"1d", "ms", 86400000},
		{"1w", "ms", -1},
		{"10", "s", 10},
		{"2w", "s", 1209600},
		{"1ms", "s", -1},
		{"4k", "bytes", 4096},
		{"1M", "bytes", 1048576},
		{"1g", "bytes", 1073741824},
		{"1t", "bytes", -1},
		{"9223372036854775807", "", INT64_MAX},
		{"9223372036854775808", "", -1},
		{"9223372036854775807", "bytes", INT64_MAX},
		{"9223372036854775807k", "bytes", -1},
		{"99999999999999999999999", "", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t v = -1;
		bool ok = host_parse_number(cases[i].text, cases[i].unit, &v);

		if (ok != (cases[i].value >= 0) || v != cases[i].value)
			fail_msg("'%s' in '%s': %d %lld", cases[i].text, cases[i].unit, ok,
				 (long long)v);
	}
}

static void
nearest(void **state)
{
	static const char *const words[] = {"permits", "queue_max", "wait_ms", "call_ms"};

	(void)state;
	assert_string_equal(host_nearest("permit", words, 4), "permits");
	assert_string_equal(host_nearest("quue_max", words, 4), "queue_max");
	assert_string_equal(host_nearest("wiat_ms", words, 4), "wait_ms");
	assert_null(host_nearest("xy", words, 4));
	assert_null(host_nearest("something_else", words, 4));
	assert_null(host_nearest("", words, 0));
}

static int
begin(void **state)
{
	static const char *const modules[] = {"odd", "next", NULL};

	(void)state;
	(void)rig_begin(modules);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_files_that_are_no_modules),
		cmocka_unit_test(refuses_files_that_others_can_write),
		cmocka_unit_test(judges_the_file_behind_a_link),
		cmocka_unit_test(refuses_descriptors_that_do_not_fit),
		cmocka_unit_test(takes_other_sizes),
		cmocka_unit_test(a_method_beyond_the_end_does_not_exist),
		cmocka_unit_test(settings_become_values),
		cmocka_unit_test(all_errors_of_a_section_are_reported),
		cmocka_unit_test(a_module_refuses_its_settings),
		cmocka_unit_test(numbers),
		cmocka_unit_test(nearest),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
