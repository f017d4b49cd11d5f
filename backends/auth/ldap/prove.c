/* SPDX-License-Identifier: Apache-2.0 */
#include "prove.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ANY "(objectClass=*)"

/* The last place of t that differs between users of one name; NULL: none does. */
static const char *
prove_last(const char *t, size_t n, bool within)
{
	const char *last = NULL;

	for (size_t i = 0; i + 1 < n; i++)
		if (t[i] == '%' && t[++i] != '%' && !(within && t[i] == 'd'))
			last = t + i;
	return last;
}

bool
prove_varies(const char *t, bool within)
{
	return prove_last(t, strlen(t), within) != NULL;
}

bool
prove_only(const char *t, char letter, bool within)
{
	const char *last = prove_last(t, strlen(t), within);
	bool some = last != NULL;

	for (; last && *last == letter; last = prove_last(t, (size_t)(last - t - 1), within))
		;
	return some && !last;
}

/* ---- walking through a filter ---------------------------------------------------------------- */

struct walk {
	const char *at; /* in the filter, whose parentheses match (template_fault) */
	const char *attr;
	char letter;
	bool within;
	FILE *out; /* NULL: none is wanted */
};

/* A part of it: how it depends on the name. */
struct part {
	bool varies; /* it depends on the name */
	bool all;    /* it finds all with attr = %letter */
};

static bool
compares_name(const struct walk *w, const char *item, size_t n)
{
	size_t k = strlen(w->attr);

	return n == k + 3 && strncasecmp(item, w->attr, k) == 0 && item[k] == '=' &&
	       item[k + 1] == '%' && item[k + 2] == w->letter;
}

/* attr=value, attr>=value ... without its parentheses. */
static struct part
walk_item(struct walk *w)
{
	const char *item = w->at;
	size_t n = strcspn(item, ")"), k = strcspn(item, "=~<>:");
	struct part p = {prove_last(item, n, w->within) != NULL, compares_name(w, item, n)};

	w->at += n;
	if (w->out && !p.varies)
		fprintf(w->out, "(%.*s)", (int)n, item);
	else if (w->out && k > 0 && item[k] != ':')
		fprintf(w->out, "(%.*s=*)", (int)k, item);
	else if (w->out)
		fputs(ANY, w->out);
	return p;
}

static struct part walk_filter(struct walk *w);

/* & | ! and what they are about. */
static struct part
walk_list(struct walk *w)
{
	char sign = *w->at++;
	unsigned n_varies = 0;
	struct part p = {0};

	if (w->out)
		fprintf(w->out, "(%c", sign);
	while (*w->at && *w->at != ')') {
		struct part one;

		if (*w->at != '(') { /* a blank */
			w->at++;
			continue;
		}
		one = walk_filter(w);
		n_varies += one.varies;
		p.all = p.all || one.all;
	}
	if (w->out)
		fputc(')', w->out);
	p.varies = n_varies > 0;
	if (sign != '|')
		p.all = p.all && sign == '&' && n_varies == 1;
	return p;
}

/* The negative of what depends on the name cannot be said for all names: anything may match. */
static struct part
walk_not(struct walk *w)
{
	struct walk look = *w;
	struct part p;

	look.out = NULL;
	p = walk_list(&look);
	if (w->out && p.varies)
		fputs(ANY, w->out);
	else if (w->out)
		(void)walk_list(w);
	w->at = look.at;
	return p;
}

static struct part
walk_filter(struct walk *w)
{
	struct part p;

	w->at++; /* the ( */
	p = *w->at == '!'                    ? walk_not(w)
	    : *w->at == '&' || *w->at == '|' ? walk_list(w)
					     : walk_item(w);
	if (*w->at)
		w->at++;
	return p;
}

/* ---- what is asked --------------------------------------------------------------------------- */

bool
prove_finds_all(const char *filter, const char *attr, char letter, bool within)
{
	struct walk w = {.at = filter, .attr = attr, .letter = letter, .within = within};

	return walk_filter(&w).all;
}

char *
prove_namesakes(const char *filter, const char *attr, bool within)
{
	struct walk w = {.at = filter, .attr = attr, .within = within};
	char *text = NULL;
	size_t n = 0;
	bool ok;

	w.out = open_memstream(&text, &n);
	if (!w.out)
		return NULL;
	fputs("(&", w.out);
	if (filter)
		(void)walk_filter(&w);
	fprintf(w.out, "(%s=%%n))", attr);
	ok = !ferror(w.out);
	if (fclose(w.out) == 0 && ok)
		return text;
	free(text);
	return NULL;
}

const char *
prove_root(const char *dn, bool within)
{
	const char *p = prove_last(dn, strlen(dn), within);

	if (!p)
		return dn;
	while (*p && *p != ',' && *p != ';')
		p += *p == '\\' && p[1] ? 2 : 1;
	return *p ? p + 1 + strspn(p + 1, " ") : p;
}
