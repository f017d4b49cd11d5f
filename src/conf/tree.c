/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/tree.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define DEPTH_MAX 8 /* of include, and of blocks in blocks: none is right, and each costs stack */
#define VALUE_MAX 8192

struct reader {
	struct arena *a;
	struct conf_errors *e;
	const char *file;
	const char *p, *end; /* what is left of the text */
	const char *line_start;
	unsigned line;
	unsigned depth;  /* of include */
	unsigned blocks; /* open ones */
	tree_open_fn *open;
};

static struct conf_where
tree_here(const struct reader *r, const char *at)
{
	return (struct conf_where){r->file, r->line, (unsigned)(at - r->line_start) + 1};
}

static void
tree_wrong(const struct reader *r, const char *at, const char *text)
{
	struct conf_where w = tree_here(r, at);

	conf_error(r->e, &w, "%s", text);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Copies ${NAME}'s value; moves *at past the '}'. */
static bool
put_env(const struct reader *r, const char **at, const char *end, char *to, size_t *n)
{
	const char *name = *at + 2, *close = memchr(name, '}', (size_t)(end - name));
	char text[128];
	const char *value;

	if (!close || close == name || (size_t)(close - name) >= sizeof(text)) {
		tree_wrong(r, *at, "expected ${NAME}, the name of an environment variable");
		return false;
	}
	memcpy(text, name, (size_t)(close - name));
	text[close - name] = '\0';
	value = getenv(text);
	if (!value) {
		struct conf_where w = tree_here(r, *at);

		conf_error(r->e, &w, "the environment has no variable %s", text);
		return false;
	}
	for (const char *p = value; *p; p++) {
		if ((unsigned char)*p < 0x20 && *p != '\t') {
			struct conf_where w = tree_here(r, *at);

			conf_error(r->e, &w,
				   "the environment's %s holds a line end or control character",
				   text);
			return false;
		}
	}
	if (*n + strlen(value) >= VALUE_MAX) {
		tree_wrong(r, *at, "the value is longer than 8,191 bytes");
		return false;
	}
	memcpy(to + *n, value, strlen(value));
	*n += strlen(value);
	*at = close + 1;
	return true;
}

/* Copies what a backslash in quotes stands for; moves *at past it. */
static bool
put_escaped(const struct reader *r, const char **at, const char *end, char *to, size_t *n)
{
	const char *p = *at;

	if (p + 1 == end || !strchr("\"\\$", p[1])) {
		tree_wrong(r, p,
			   "in quotes there are \\\" \\\\ and \\$; write \\\\ for a backslash");
		return false;
	}
	to[(*n)++] = p[1];
	*at = p + 2;
	return true;
}

/* The closing quote, or what ends a value without quotes: a comment, or the line. */
static bool
is_value_end(const char *p, const char *end, bool quoted)
{
	if (p == end)
		return true;
	return quoted ? *p == '"' : *p == '#' && (p[-1] == ' ' || p[-1] == '\t');
}

/* Copies a value, without its quotes, to `to`; returns where it ends; NULL: reported. */
static const char *
copy_value(const struct reader *r, const char *p, const char *end, bool quoted, char *to, size_t *n)
{
	bool good = true;

	while (good && !is_value_end(p, end, quoted)) {
		if (*n + 1 >= VALUE_MAX) {
			tree_wrong(r, p, "the value is longer than 8,191 bytes");
			good = false;
		} else if (p[0] == '$' && p + 1 < end && p[1] == '{') {
			good = put_env(r, &p, end, to, n);
		} else if (quoted && *p == '\\') {
			good = put_escaped(r, &p, end, to, n);
		} else {
			to[(*n)++] = *p++;
		}
	}
	if (good && quoted && p == end) {
		tree_wrong(r, p, "the quote is not closed");
		good = false;
	}
	return good ? p : NULL;
}

/* Is there nothing but a comment after the closing quote? False: reported. */
static bool
ends_line(const struct reader *r, const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	if (p == end || *p == '#')
		return true;
	tree_wrong(r, p, "expected the end of the line after the closing quote");
	return false;
}

/* The value in p..end (a line's rest, trimmed); NULL: reported. */
static const char *
tree_value_of(const struct reader *r, const char *p, const char *end)
{
	bool quoted = p < end && *p == '"';
	char buf[VALUE_MAX], *copy;
	const char *stop;
	size_t n = 0;

	stop = copy_value(r, p + quoted, end, quoted, buf, &n);
	if (!stop || (quoted && !ends_line(r, stop + 1, end)))
		return NULL;
	while (!quoted && n > 0 && (buf[n - 1] == ' ' || buf[n - 1] == '\t'))
		n--;
	if (!quoted && n == 0) {
		tree_wrong(r, p, "expected a value; write \"\" for an empty one");
		return NULL;
	}
	copy = arena_dup(r->a, buf, n);
	secret_wipe(buf, n);
	if (!copy)
		tree_wrong(r, p, "no memory");
	return copy;
}

/* Names are relative to the file they stand in. */
static bool
path_of(const struct reader *r, const char *at, const char *name, char *ret_path)
{
	const char *slash = name[0] == '/' ? NULL : strrchr(r->file, '/');
	int n = snprintf(ret_path, PATH_MAX, "%.*s%s", slash ? (int)(slash - r->file + 1) : 0,
			 r->file, name);

	if (!r->open)
		tree_wrong(r, at, "other files are not read from here");
	else if (n >= PATH_MAX)
		tree_wrong(r, at, "the file name is too long");
	return r->open && n < PATH_MAX;
}

/* Octets of the byte order mark that some editors put first. */
static size_t
mark_length(const char *text, size_t n)
{
	return n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

/* file:PATH as a whole value: the first line of that file. */
static const char *
value_from_file(const struct reader *r, const char *at, const char *value)
{
	struct conf_where w = tree_here(r, at);
	char path[PATH_MAX], *text, *copy;
	size_t n = 0, from, line;

	if (strncmp(value, "file:", 5) != 0)
		return value;
	if (!path_of(r, at, value + 5, path) || !(text = r->open(path, TREE_SECRET, r->e, &w, &n)))
		return NULL;
	line = memchr(text, '\n', n) ? (size_t)((char *)memchr(text, '\n', n) - text) : n;
	if (line > 0 && text[line - 1] == '\r')
		line--;
	from = mark_length(text, line);
	copy = memchr(text, '\0', line) ? NULL : arena_dup(r->a, text + from, line - from);
	if (!copy)
		conf_error(r->e, &w,
			   "the first line of '%s' holds a NUL byte, or there is no memory", path);
	secret_wipe(text, n);
	free(text);
	return copy;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

static const char *
skip_word(const char *p, const char *end)
{
	while (p < end && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			   (*p >= '0' && *p <= '9') || *p == '_' || *p == '-' || *p == '.'))
		p++;
	return p;
}

static struct conf_node *
node_new(struct reader *r, const char *at, const char *key, size_t n)
{
	struct conf_node *node = arena_alloc(r->a, sizeof(*node));

	if (!node)
		return NULL;
	node->key = arena_dup(r->a, key, n);
	node->value = "";
	node->where = tree_here(r, at);
	return node->key ? node : NULL;
}

/* Takes the next line off the text. */
static bool
next_line(struct reader *r, const char **ret_end)
{
	const char *lf;

	if (r->p >= r->end)
		return false;
	lf = memchr(r->p, '\n', (size_t)(r->end - r->p));
	*ret_end = lf ? lf : r->end;
	r->line_start = r->p;
	r->line++;
	r->p = lf ? lf + 1 : r->end;
	if (*ret_end > r->line_start && (*ret_end)[-1] == '\r')
		(*ret_end)--;
	return true;
}

static struct conf_node **read_block(struct reader *r, struct conf_node **tail, bool inner);

static struct conf_node **
read_included(struct reader *r, const char *at, const char *file, struct conf_node **tail)
{
	struct conf_where w = tree_here(r, at);
	struct reader sub = *r;
	size_t n = 0;
	char *text;

	if (r->depth >= DEPTH_MAX) {
		tree_wrong(r, at,
			   "include is nested more than 8 deep; does a file include itself?");
		return tail;
	}
	text = r->open(file, TREE_INCLUDED, r->e, &w, &n);
	sub.file = text ? arena_dup(r->a, file, strlen(file)) : NULL;
	if (sub.file) {
		sub.line_start = text;
		sub.p = text + mark_length(text, n);
		sub.end = text + n;
		sub.line = 0;
		sub.depth++;
		tail = read_block(&sub, tail, false);
	}
	secret_wipe(text, n);
	free(text);
	return tail;
}

static struct conf_node **
read_include(struct reader *r, const char *at, const char *what, struct conf_node **tail)
{
	char path[PATH_MAX];
	glob_t g;

	if (!path_of(r, at, what, path))
		return tail;
	if (!strpbrk(path, "*?["))
		return read_included(r, at, path, tail);
	if (glob(path, 0, NULL, &g) == 0) { /* a pattern that matches nothing is nothing */
		for (size_t i = 0; i < g.gl_pathc; i++)
			tail = read_included(r, at, g.gl_pathv[i], tail);
		globfree(&g);
	}
	return tail;
}

/* "kind name {": the head of a block; p is past the kind. */
static struct conf_node **
read_block_head(struct reader *r, struct conf_node *node, const char *p, const char *end,
		struct conf_node **tail)
{
	const char *word = skip_space(p, end), *stop = skip_word(word, end);
	const char *brace = skip_space(stop, end), *rest;
	bool empty;

	if (brace >= end || *brace != '{') {
		tree_wrong(r, word, "expected 'key = value', 'kind name {' or 'include FILE'");
		return tail;
	}
	rest = skip_space(brace + 1, end);
	empty = rest < end && *rest == '}';
	if (empty)
		rest = skip_space(rest + 1, end);
	if (rest < end && *rest != '#')
		tree_wrong(r, rest,
			   "expected the end of the line after the brace: one setting a line");
	node->value = arena_dup(r->a, word, (size_t)(stop - word));
	if (!node->value) {
		tree_wrong(r, word, "no memory");
		return tail;
	}
	node->block = true;
	if (!empty && r->blocks == DEPTH_MAX) {
		tree_wrong(r, word,
			   "more than 8 blocks are open; the rest of this file is not read");
		r->p = r->end;
	} else if (!empty) {
		r->blocks++;
		(void)read_block(r, &node->children, true);
		r->blocks--;
	}
	*tail = node;
	return &node->next;
}

static struct conf_node **
tree_read_line(struct reader *r, const char *p, const char *end, struct conf_node **tail)
{
	const char *stop = skip_word(p, end), *q = skip_space(stop, end);
	struct conf_node *node;
	const char *value;

	if (stop == p) {
		tree_wrong(r, p, "expected a setting's name");
		return tail;
	}
	if (stop - p == 7 && memcmp(p, "include", 7) == 0 && q < end && *q != '=') {
		value = tree_value_of(r, q, end);
		return value ? read_include(r, p, value, tail) : tail;
	}
	node = node_new(r, p, p, (size_t)(stop - p));
	if (!node) {
		tree_wrong(r, p, "no memory");
		return tail;
	}
	if (q >= end || *q != '=')
		return read_block_head(r, node, stop, end, tail);
	q = skip_space(q + 1, end);
	value = tree_value_of(r, q, end);
	if (value)
		value = value_from_file(r, q, value);
	if (!value)
		return tail;
	node->value = value;
	*tail = node;
	return &node->next;
}

static struct conf_node **
read_block(struct reader *r, struct conf_node **tail, bool inner)
{
	unsigned opened = r->line;
	const char *end;

	while (next_line(r, &end)) {
		const char *p = skip_space(r->line_start, end);

		if (memchr(r->line_start, '\0', (size_t)(end - r->line_start))) {
			tree_wrong(r, p, "the line holds a NUL byte");
			continue;
		}
		if (p == end || *p == '#')
			continue;
		if (*p == '}') {
			const char *rest = skip_space(p + 1, end);

			if (rest < end && *rest != '#')
				tree_wrong(r, rest, "expected the end of the line after '}'");
			if (inner)
				return tail;
			tree_wrong(r, p, "'}' closes nothing here");
			continue;
		}
		tail = tree_read_line(r, p, end, tail);
	}
	if (inner) {
		struct conf_where w = {r->file, opened, 1};

		conf_error(r->e, &w, "this block is not closed: expected '}'");
	}
	return tail;
}

struct conf_node *
tree_parse(struct arena *a, const char *file, const char *text, size_t n, tree_open_fn *open,
	   struct conf_errors *e)
{
	struct reader r = {.a = a,
			   .e = e,
			   .file = file,
			   .p = text + mark_length(text, n),
			   .end = text + n,
			   .line_start = text,
			   .open = open};
	struct conf_node *first = NULL;

	(void)read_block(&r, &first, false);
	return first;
}
