/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a configuration: its meaning, its errors, and their places. */
#include "tree_rig.h"

#include <stdlib.h>

/* ---- rig ------------------------------------------------------------------------------------- */

static size_t
parse(const char *text, size_t n)
{
	struct conf_errors e = {.report = keep_error};

	arena_reset(&arena);
	tree_text[0] = error_text[0] = '\0';
	show(tree_parse(&arena, "t", text, n, NULL, &e));
	return e.count;
}

/* The texts of a table; each line begins with the expected error. */
struct text_case {
	const char *text;
	size_t n;
	const char *tree, *errors;
};

static void
check_texts(const struct text_case *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		(void)parse(cases[i].text, cases[i].n);
		if (strcmp(tree_text, cases[i].tree) != 0)
			fail_msg("'%s': expected %s, is %s", cases[i].text, cases[i].tree,
				 tree_text);
		errors_begin(cases[i].text, cases[i].errors);
	}
}

/* ---- texts ----------------------------------------------------------------------------------- */

static void
settings_and_blocks(void **state)
{
	static const struct text_case cases[] = {
		{TEXT(""), "", ""},
		{TEXT("\n\n \t\n"), "", ""},
		{TEXT("a = b"), "a=b;", ""}, /* no line end */
		{TEXT("a=b\nc=d\n"), "a=b;c=d;", ""},
		{TEXT("\t a \t=\t b  c \t\n"), "a=b  c;", ""},
		{TEXT("a = b\r\nc = d\r\n\r\n"), "a=b;c=d;", ""},
		{TEXT("a = b\r"), "a=b;", ""},
		{TEXT("# one\n  # two\na = b # three\n"), "a=b;", ""},
		{TEXT("a = b#c # d\n"), "a=b#c;", ""},
		{TEXT("a = b\t# c\n"), "a=b;", ""},
		{TEXT("a = b = c\n"), "a=b = c;", ""},
		{TEXT("a = {\n"), "a={;", ""},
		{TEXT("K_1.x-Y = 1\n"), "K_1.x-Y=1;", ""},
		{TEXT("a = b\na = c\n"), "a=b;a=c;", ""}, /* the schema minds */
		{TEXT("a = \xff\xfe\n"), "a=\xff\xfe;", ""},
		{TEXT("include = b\n"), "include=b;", ""},
		{TEXT("tls {\n}\n"), "tls {}", ""},
		{TEXT("tls{}"), "tls {}", ""},
		{TEXT("auth x {} # c\na = b\n"), "auth x{}a=b;", ""},
		{TEXT("auth x { # c\n\ta = b\n} # d\nc = d"), "auth x{a=b;}c=d;", ""},
		{TEXT("a b {\r\n c d {\r\n e = f\r\n }\r\n}"), "a b{c d{e=f;}}", ""},
	};

	(void)state;
	check_texts(cases, COUNT(cases));
}

static void
quotes(void **state)
{
	static const struct text_case cases[] = {
		{TEXT("a = \"\"\n"), "a=;", ""},
		{TEXT("a = \" b # c \"\t# d\n"), "a= b # c ;", ""},
		{TEXT("a = \"\\\"\\\\\\$\"\n"), "a=\"\\$;", ""},
		{TEXT("a = \"$x $\"\n"), "a=$x $;", ""},
		{TEXT("a = b \"c\"\n"), "a=b \"c\";", ""},
		{TEXT("a = b\\n\n"), "a=b\\n;", ""},
		{TEXT("a = \"b\nc = d\n"), "c=d;", "1:7 the quote is not closed"},
		{TEXT("a = \""), "", "1:6 the quote is not closed"},
		{TEXT("a = \"b\\"), "", "1:7 in quotes there are"},
		{TEXT("a = \"b\\n\"\n"), "", "1:7 in quotes there are"},
		{TEXT("a = \"b\" c\n"), "",
		 "1:9 expected the end of the line after the closing quote"},
		{TEXT("a = \"b\"\"c\"\n"), "", "1:8 expected the end of the line"},
	};

	(void)state;
	check_texts(cases, COUNT(cases));
}

/* One error does not hide the next: the rest is still read. */
static void
errors_have_their_place(void **state)
{
	static const struct text_case cases[] = {
		{TEXT("= b\nc = d\n"), "c=d;", "1:1 expected a setting's name"},
		{TEXT("a = b\n  \"c\" = d\n"), "a=b;", "2:3 expected a setting's name"},
		/* a byte order mark is read over where a file begins, and only there */
		{TEXT("\xef\xbb\xbf"
		      "a = b\n"),
		 "a=b;", ""},
		{TEXT("\xef\xbb\xbf\xef\xbb\xbf"
		      "a = b\n"),
		 "", "1:1 expected a setting's name"},
		{TEXT("a = b\n\xef\xbb\xbf"
		      "c = d\n"),
		 "a=b;", "2:1 expected a setting's name"},
		{TEXT("\xef\xbb\xbf"), "", ""},
		{TEXT("\xef\xbb"), "", "1:1 expected a setting's name"},
		{TEXT("a =\n"), "", "1:4 expected a value"},
		{TEXT("a = \t# b\n"), "", "1:6 expected a value"},
		{TEXT("a\n"), "", "1:2 expected 'key = value'"},
		{TEXT("\ta b\n"), "", "1:4 expected 'key = value'"},
		{TEXT("a b c {\nd = e\n"), "d=e;", "1:3 expected 'key = value'"},
		{TEXT("a: b\n"), "", "1:2 expected 'key = value'"},
		{TEXT("}\na = b\n"), "a=b;", "1:1 '}' closes nothing here"},
		{TEXT("a {\n} b\n"), "a {}", "2:3 expected the end of the line after '}'"},
		{TEXT("a { b = c\n}\n"), "a {}",
		 "1:5 expected the end of the line after the brace"},
		{TEXT("a {} b\n"), "a {}", "1:6 expected the end of the line after the brace"},
		{TEXT("x = y\n a {\nb = c\n"), "x=y;a {b=c;}", "2:1 this block is not closed"},
		{TEXT("a {\nb {\n}\n"), "a {b {}}", "1:1 this block is not closed"},
		{TEXT("a = b\0c\nd = e\n"), "d=e;", "1:1 the line holds a NUL byte"},
		{TEXT("a = b\n  # \0\n\0"), "a=b;",
		 "2:3 the line holds a NUL byte\n3:1 the line holds a NUL byte"},
		{TEXT("a {\n}\0\n}\n"), "a {}", "2:1 the line holds a NUL byte"},
		{TEXT("?\n!\n"), "",
		 "1:1 expected a setting's name\n2:1 expected a setting's name"},
		{TEXT("include x\n"), "", "1:1 other files are not read from here"},
		{TEXT("a = file:/dev/null\n"), "", "1:5 other files are not read from here"},
	};

	(void)state;
	check_texts(cases, COUNT(cases));
}

static void
environment(void **state)
{
	static const struct text_case cases[] = {
		{TEXT("a = ${RST_A}\n"), "a=ann;", ""},
		{TEXT("a = x${RST_A}y${RST_A}\n"), "a=xannyann;", ""},
		{TEXT("a = \"${RST_A} \" # c\n"), "a=ann ;", ""},
		{TEXT("a = \"\\${RST_A}\"\n"), "a=${RST_A};", ""},
		{TEXT("a = $RST_A\n"), "a=$RST_A;", ""},
		{TEXT("a = $\n"), "a=$;", ""},
		{TEXT("a = \"${RST_NONE}\"\n"), "a=;", ""},
		{TEXT("a = ${RST_ODD}\n"), "a=a # \"b\\ ${RST_A};", ""}, /* its content is text */
		{TEXT("a = \"${RST_ODD}\"\n"), "a=a # \"b\\ ${RST_A};", ""},
		{TEXT("a = x ${RST_UNSET}\nb = c\n"), "b=c;",
		 "1:7 the environment has no variable RST_UNSET"},
		{TEXT("a = ${}\n"), "", "1:5 expected ${NAME}"},
		{TEXT("a = ${RST_A\n"), "", "1:5 expected ${NAME}"},
		{TEXT("a = ${"), "", "1:5 expected ${NAME}"},
		{TEXT("a = ${RST_A\nb = }\n"), "b=};", "1:5 expected ${NAME}"},
		{TEXT("a = ${RST_\x1b}\n"), "", "1:5 the environment has no variable RST_?"},
	};

	(void)state;
	assert_int_equal(setenv("RST_A", "ann", 1), 0);
	assert_int_equal(setenv("RST_NONE", "", 1), 0);
	assert_int_equal(setenv("RST_ODD", "a # \"b\\ ${RST_A}", 1), 0);
	assert_int_equal(unsetenv("RST_UNSET"), 0);
	check_texts(cases, COUNT(cases));
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void
long_values(void **state)
{
	static char text[8300] = "a = ", value[8193];

	(void)state;
	memset(text + 4, 'x', 8191);
	assert_int_equal(parse(text, 4 + 8191), 0);
	assert_int_equal(strlen(tree_text), 2 + 8191 + 1);
	text[4 + 8191] = 'x';
	assert_int_equal(parse(text, 4 + 8192), 1);
	errors_begin("8192 bytes", "1:8196 the value is longer than 8,191 bytes");
	/* the same from the environment */
	memset(value, 'y', 8192);
	assert_int_equal(setenv("RST_LONG", value, 1), 0);
	assert_int_equal(parse(TEXT("a = ${RST_LONG}\nb = c")), 1);
	errors_begin("long variable", "1:5 the value is longer than 8,191 bytes");
	assert_string_equal(tree_text, "b=c;");
	assert_int_equal(setenv("RST_LONG", value + 1, 1), 0);
	assert_int_equal(parse(TEXT("a = ${RST_LONG}")), 0);
	assert_int_equal(parse(TEXT("a = x${RST_LONG}")), 1);
	assert_int_equal(parse(TEXT("a = ${RST_LONG}x")), 1);
	assert_int_equal(unsetenv("RST_LONG"), 0);
	/* and a name */
	memset(text, 'N', 4 + 3 + 128);
	memcpy(text, "a = ${", 6);
	text[6 + 127] = '}';
	assert_int_equal(parse(text, 6 + 128), 1);
	assert_non_null(strstr(error_text, "the environment has no variable N"));
	text[6 + 127] = 'N';
	text[6 + 128] = '}';
	assert_int_equal(parse(text, 6 + 129), 1);
	errors_begin("long name", "1:5 expected ${NAME}");
}

static void
long_lines(void **state)
{
	static const char *const heads[] = {"",     "a",   "a = ", "a = \"", "# ",
					    "a b ", "a {", "}",    "a = ${", " "};
	size_t n = 1u << 20;
	char *text = malloc(n);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < COUNT(heads); i++) {
		memset(text, 'x', n);
		memcpy(text, heads[i], strlen(heads[i]));
		memcpy(text + n - 7, "\nb = c\n", 7);
		assert_true(parse(text, n) <= 2);
		assert_non_null(strstr(tree_text, "b=c;"));
	}
	free(text);
}

/* Blocks in blocks cost stack: eight, and not one more, however many there are. */
static void
blocks_have_a_bound(void **state)
{
	size_t n = 3u << 16;
	char *text = malloc(n);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < n; i += 3)
		memcpy(text + i, "a{\n", 3);
	assert_int_equal(parse(text, 8 * 3), 8); /* each is not closed */
	assert_string_equal(tree_text, "a {a {a {a {a {a {a {a {}}}}}}}}");
	assert_int_equal(parse(text, n), 9);
	assert_int_equal(strncmp(error_text, "9:2 more than 8 blocks are open", 31), 0);
	memset(text, '}', n);
	for (size_t i = 1; i < n; i += 2)
		text[i] = '\n';
	assert_int_equal(parse(text, n), n / 2); /* no depth is lost to a brace too many */
	assert_int_equal(parse(TEXT("a {\n}\n}\n}\nb {\n}\n")), 2);
	assert_string_equal(tree_text, "a {}b {}");
	free(text);
}

static const char sample[] =
	"a = \"b \\\" c\" # d\nauth x {\n\tp = ${RST_A} q\r\n\tin y {\n\t\tr = s\n\t}\n}\n"
	"tls {}\ninclude z\nu = file:v\nw = x";

/* Whatever one byte is changed to, errors have a place inside the text. */
static void
any_byte_anywhere(void **state)
{
	static const char bytes[] = {'\0', '"', '\\', '{',  '}',    '$', '#', '\r',
				     '\n', '=', ' ',  '\t', '\xff', 'x', ':'};
	char text[sizeof(sample)];

	(void)state;
	assert_int_equal(setenv("RST_A", "ann", 1), 0);
	for (size_t i = 0; i < sizeof(sample) - 1; i++) {
		for (size_t k = 0; k < sizeof(bytes); k++) {
			unsigned line, column;

			memcpy(text, sample, sizeof(sample));
			text[i] = bytes[k];
			if (parse(text, sizeof(sample) - 1) == 0)
				continue;
			assert_int_equal(sscanf(error_text, "%u:%u", &line, &column), 2);
			assert_in_range(line, 1, 13);
			assert_in_range(column, 1, 40);
		}
		/* cut here, in memory of just that size */
		char *cut = malloc(i + 1);

		assert_non_null(cut);
		memcpy(cut, sample, i + 1);
		(void)parse(cut, i + 1);
		free(cut);
	}
}

/* Without memory there is an error; without an error the tree is complete. */
static void
no_memory_is_said(void **state)
{
	static const char text[] = "a = b\nc = \"d e\"\nf g {\nh = i\n}\nj = k\n";
	size_t limit = 0;

	(void)state;
	for (;; limit += 16) {
		struct conf_errors e = {.report = keep_error};
		struct arena small;

		assert_true(limit < 65536);
		arena_init(&small, limit);
		tree_text[0] = error_text[0] = '\0';
		show(tree_parse(&small, "t", TEXT(text), NULL, &e));
		arena_reset(&small);
		if (e.count == 0)
			break;
		assert_non_null(strstr(error_text, "no memory"));
	}
	assert_true(limit > 0);
	assert_string_equal(tree_text, "a=b;c=d e;f g{h=i;}j=k;");
}

static int
begin(void **state)
{
	(void)state;
	arena_init(&arena, ARENA_MAX);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	arena_reset(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_and_blocks),
		cmocka_unit_test(quotes),
		cmocka_unit_test(errors_have_their_place),
		cmocka_unit_test(environment),
		cmocka_unit_test(long_values),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(blocks_have_a_bound),
		cmocka_unit_test(any_byte_anywhere),
		cmocka_unit_test(no_memory_is_said),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
