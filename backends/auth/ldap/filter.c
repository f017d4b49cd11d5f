/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
template_split(struct pm_str user, struct template_names *ret)
{
	const char *at = user.n > 0 ? memrchr(user.p, '@', user.n) : NULL;

	*ret = (struct template_names){.user = user, .local = user};
	if (!at)
		return;
	ret->local.n = (size_t)(at - user.p);
	ret->domain = (struct pm_str){at + 1, user.n - ret->local.n - 1};
}

/* ---- looking at templates -------------------------------------------------------------------- */

bool
template_has(const char *t, char letter)
{
	for (; *t; t++) {
		if (*t != '%')
			continue;
		if (*++t == letter)
			return true;
		if (!*t)
			break;
	}
	return false;
}

enum template_kind
template_bind_kind(const char *t)
{
	return strchr(t, '=') ? TEMPLATE_DN : TEMPLATE_PLAIN;
}

/*
 * A filter's parentheses have to match, and what is filled in has to stand after a '=' of the
 * innermost pair: an escaped value is harmless there, but nothing makes it harmless as an
 * attribute's name.
 */
static const char *
filter_fault(const char *t)
{
	bool value = false;
	int depth = 0;

	if (*t != '(')
		return "it has to begin with '('";
	for (; *t; t++) {
		if (*t == '(')
			depth++, value = false;
		else if (*t == ')' && --depth < 0)
			return "a ')' has no '('";
		else if (*t == '=')
			value = true;
		else if (*t == '%' && t[1] && *++t != '%' && !value)
			return "what is filled in has to be a value, after a '='";
		if (depth == 0 && t[1])
			return "there is something after its last ')'";
	}
	return depth == 0 ? NULL : "a '(' has no ')'";
}

/* The like for a DN: only in the value of a part. */
static const char *
dn_fault(const char *t)
{
	bool value = false;

	for (; *t; t++) {
		if (*t == '=')
			value = true;
		else if (*t == ',' || *t == '+' || *t == ';')
			value = false;
		else if (*t == '\\' && t[1])
			t++;
		else if (*t == '%' && t[1] && *++t != '%' && !value)
			return "what is filled in has to be a value, after a '='";
	}
	return NULL;
}

const char *
template_fault(const char *t, enum template_kind kind, const char *allowed)
{
	for (const char *p = t; *p; p++) {
		if (*p != '%')
			continue;
		p++;
		if (!*p || (*p != '%' && !strchr(allowed, *p)))
			return "it holds a '%' that is not one of those explained in the manual; "
			       "write '%%' for a '%'";
	}
	return kind == TEMPLATE_FILTER ? filter_fault(t) : kind == TEMPLATE_DN ? dn_fault(t) : NULL;
}

struct pm_str
template_name_attribute(const char *filter, char *ret_letter)
{
	struct pm_str attr = {"", 0};
	const char *open = filter;

	for (const char *p = filter; *p; p++) {
		if (*p == '(') {
			open = p + 1;
		} else if (*p == '%' && p[1]) {
			if (*++p != 'u' && *p != 'n')
				continue;
			*ret_letter = *p;
			/* RFC 4515: attr, filtertype */
			attr = (struct pm_str){open, strcspn(open, "=~<>:")};
			break;
		}
	}
	return attr;
}

/* ---- filling in ------------------------------------------------------------------------------ */

/*
 * Characters that need no escape in any of the forms. Everything else is written as \XX, which both
 * RFCs allow for every octet: a short list of the harmless is easier to trust than a list of the
 * harmful.
 */
static bool
filter_harmless(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '@' || c == '.' || c == '_' || c == '-';
}

/* Writes a value at `to` (3 bytes for each of it); its length, or 0 when it cannot be written. */
static size_t
filter_put_value(char *to, struct pm_str v, enum template_kind kind)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if (filter_harmless(c)) {
			to[n++] = (char)c;
		} else if (kind == TEMPLATE_PLAIN) {
			return 0;
		} else {
			to[n++] = '\\';
			to[n++] = hex[c >> 4];
			to[n++] = hex[c & 15];
		}
	}
	return n;
}

static struct pm_str
filter_value_of(const struct template_names *names, char letter)
{
	return letter == 'u'   ? names->user
	       : letter == 'n' ? names->local
	       : letter == 'd' ? names->domain
			       : names->dn;
}

/* An upper bound of the filled template. */
static size_t
room_for(const char *t, const struct template_names *names)
{
	size_t room = strlen(t) + 1;

	for (; *t; t++)
		if (*t == '%' && t[1] && *++t != '%')
			room += 3 * filter_value_of(names, *t).n;
	return room;
}

char *
template_fill(const char *t, enum template_kind kind, const struct template_names *names,
	      int32_t *ret_rc)
{
	char *out = malloc(room_for(t, names));
	size_t n = 0;

	*ret_rc = out ? PM_OK : PM_NOMEM;
	for (; out && *t; t++) {
		size_t add;

		if (*t != '%' || !t[1] || *++t == '%') {
			out[n++] = *t;
			continue;
		}
		add = filter_put_value(out + n, filter_value_of(names, *t), kind);
		if (add == 0) { /* "(uid=)" and "uid=,ou=people" name nobody */
			*ret_rc = PM_NOENT;
			free(out);
			return NULL;
		}
		n += add;
	}
	if (out)
		out[n] = '\0';
	return out;
}
