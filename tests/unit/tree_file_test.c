/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations of several files: include, file:, and files that are none. */
#include "conf/tree_file.h"
#include "tree_rig.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/rst-tree.XXXXXX";

/* ---- rig ------------------------------------------------------------------------------------- */

static const char *
path_of(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
write_bytes(const char *name, const char *text, size_t n)
{
	FILE *f = fopen(path_of(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void
write_file(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text));
}

static size_t
read_tree(const char *name)
{
	struct conf_errors e = {.report = keep_error};

	arena_reset(&arena);
	tree_text[0] = error_text[0] = '\0';
	show(tree_file_read(&arena, path_of(name), &e));
	return e.count;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void
files_are_included(void **state)
{
	(void)state;
	write_file("inc.conf",
		   "one = 1\ninclude sub/a.conf\ninclude sub/[bc]*.conf # in order\n"
		   "include sub/none*.conf\nauth x {\n\tinclude \"sub/with space\"\n}\nlast = 1\n");
	write_file("sub/a.conf", "\xef\xbb\xbf"
				 "a = 1\r\ninclude b.conf");
	write_file("sub/b.conf", "b = 1");
	write_file("sub/c.conf", "");
	write_file("sub/c2.conf", "c2 = 1\n");
	write_file("sub/with space", "in = 1\n");
	assert_int_equal(read_tree("inc.conf"), 0);
	assert_string_equal(tree_text, "one=1;a=1;b=1;b=1;c2=1;auth x{in=1;}last=1;");
	/* absolute, and the form of an error in another file */
	assert_int_equal(setenv("RST_DIR", dir, 1), 0);
	write_file(
		"abs.conf",
		"\n include ${RST_DIR}/sub/wrong\ninclude missing\ninclude sub\ninclude\na = b\n");
	write_file("sub/wrong", "\n\n  {\ninclude ../gone\nc = d");
	assert_int_equal(read_tree("abs.conf"), 5);
	errors_begin(
		"abs.conf",
		"wrong:3:3 expected a setting's name\nwrong:4:1 cannot read '\n"
		"abs.conf:3:1 cannot read '\nabs.conf:4:1 '\nabs.conf:5:8 expected 'key = value'");
	assert_non_null(strstr(error_text, "/gone': No such file or directory"));
	assert_non_null(strstr(error_text, "/sub' is not a regular file"));
	assert_string_equal(tree_text, "c=d;a=b;");
}

/* A block ends in the file where it begins. */
static void
blocks_do_not_cross_files(void **state)
{
	(void)state;
	write_file("cross.conf", "include open\nauth x {\ninclude close\na = b\n}\n");
	write_file("open", "tls {\nc = d\n");
	write_file("close", "e = f\n}\n");
	assert_int_equal(read_tree("cross.conf"), 2);
	errors_begin("cross.conf",
		     "open:1:1 this block is not closed\nclose:2:1 '}' closes nothing here");
	assert_string_equal(tree_text, "tls {c=d;}auth x{e=f;a=b;}");
}

static void
include_has_a_bound(void **state)
{
	char name[16], text[32];

	(void)state;
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		snprintf(text, sizeof(text), "n = %d\ninclude d%d\n", i, i + 1);
		write_file(name, text);
	}
	write_file("d9", "n = 9\n");
	assert_int_equal(read_tree("d1"), 0);
	assert_string_equal(tree_text, "n=1;n=2;n=3;n=4;n=5;n=6;n=7;n=8;n=9;");
	assert_int_equal(read_tree("d0"), 1);
	errors_begin("d0", "d8:2:1 include is nested more than 8 deep");
	write_file("self", "a = b\ninclude self\n");
	assert_int_equal(read_tree("self"), 1);
	errors_begin("self",
		     "self:2:1 include is nested more than 8 deep; does a file include itself?");
	/* nor does a block in each of them help */
	write_file("self", "a {\ninclude self\n}\n");
	assert_int_equal(read_tree("self"), 1);
	write_file("self", "a {\nb {\ninclude self\n}\n}\n");
	assert_true(read_tree("self") >= 1);
	assert_non_null(strstr(error_text, "more than 8 blocks are open"));
}

static void
values_from_files(void **state)
{
	static const struct {
		const char *name, *text;
		size_t n;
		const char *value; /* NULL: refused */
	} cases[] = {
		{"p", TEXT("secret\n"), "secret"},
		{"p", TEXT("secret"), "secret"},
		{"p", TEXT("\xef\xbb\xbfsecret\n"), "secret"},
		{"p", TEXT("secret\r\nmore\n"), "secret"},
		{"p", TEXT(" # \"${RST_A}\\ \n"), " # \"${RST_A}\\ "}, /* as it is */
		{"p", TEXT("\nsecret\n"), ""},
		{"p", TEXT(""), ""},
		{"p", TEXT("\r\n"), ""},
		{"p", TEXT("secret\n\0"), "secret"},
		{"p", TEXT("sec\0ret\n"), NULL},
		{"p", TEXT("\0"), NULL},
		{"sub/p", TEXT("x"), "secret of p"},
	};
	char expected[64];

	(void)state;
	write_file("val.conf", "pw = file:p\n");
	for (size_t i = 0; i < COUNT(cases); i++) {
		write_file("p", "secret of p\n");
		write_bytes(cases[i].name, cases[i].text, cases[i].n);
		assert_int_equal(read_tree("val.conf"), cases[i].value ? 0 : 1);
		snprintf(expected, sizeof(expected), "pw=%s;",
			 cases[i].value ? cases[i].value : "");
		assert_string_equal(tree_text, cases[i].value ? expected : "");
		if (!cases[i].value)
			errors_begin("val.conf", "val.conf:1:6 the first line of '");
	}
	write_file("p", "top\n");
	write_file("sub/p", "below\n");
	write_file("val.conf", "include sub/v\na = file:sub/p # c\n"
			       "b = x file:p\nc = file:\nd = file:nosuch\ne=file:fifo\n");
	write_file("sub/v", "v = file:p\nw = file:../p\n");
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	assert_int_equal(read_tree("val.conf"), 3);
	assert_string_equal(tree_text, "v=below;w=top;a=below;b=x file:p;");
	errors_begin("val.conf", "val.conf:4:5 '\nval.conf:5:5 cannot read '\nval.conf:6:3 '");
}

static void
files_that_are_none(void **state)
{
	(void)state;
	assert_int_equal(read_tree("nosuch.conf"), 1);
	errors_begin("nosuch.conf", "nosuch.conf:1:1 cannot read '");
	assert_int_equal(read_tree("sub"), 1);
	errors_begin("sub", "sub:1:1 '");
	assert_int_equal(read_tree("fifo"), 1); /* and it does not wait for a writer */
	write_file("large", "a = b\n");
	assert_int_equal(truncate(path_of("large"), 4 << 20), 0);
	assert_int_equal(read_tree("large"), 1);
	errors_begin("large", "large:2:1 the line holds a NUL byte");
	assert_string_equal(tree_text, "a=b;");
	assert_int_equal(truncate(path_of("large"), (4 << 20) + 1), 0);
	assert_int_equal(read_tree("large"), 1);
	assert_non_null(strstr(error_text, "is not a regular file of at most 4 MiB"));
	write_file("empty", "");
	assert_int_equal(read_tree("empty"), 0);
	assert_string_equal(tree_text, "");
}

static int
begin(void **state)
{
	(void)state;
	arena_init(&arena, ARENA_MAX);
	return mkdtemp(dir) && mkdir(path_of("sub"), 0700) == 0 ? 0 : -1;
}

static int
end(void **state)
{
	static const char *const names[] = {
		"inc.conf",    "abs.conf",
		"cross.conf",  "open",
		"close",       "self",
		"val.conf",    "p",
		"fifo",        "large",
		"empty",       "d0",
		"d1",          "d2",
		"d3",          "d4",
		"d5",          "d6",
		"d7",          "d8",
		"d9",          "sub/a.conf",
		"sub/b.conf",  "sub/c.conf",
		"sub/c2.conf", "sub/with space",
		"sub/wrong",   "sub/p",
		"sub/v",
	};

	(void)state;
	arena_reset(&arena);
	for (size_t i = 0; i < COUNT(names); i++)
		(void)unlink(path_of(names[i]));
	return rmdir(path_of("sub")) == 0 && rmdir(dir) == 0 ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_included),  cmocka_unit_test(blocks_do_not_cross_files),
		cmocka_unit_test(include_has_a_bound), cmocka_unit_test(values_from_files),
		cmocka_unit_test(files_that_are_none),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
