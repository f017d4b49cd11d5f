/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names in filters and DNs, and the texts of directories about accounts. The input is a template,
 * a newline, a name; the name is also used as a server's text. Filled in, it is one value that
 * reads back as the name, whatever it holds.
 */
#include "../../backends/auth/ldap/filter.h"
#include "../../backends/auth/ldap/state.h"

#include <ctype.h>

#include "fuzz.h"

static const struct pm_str *
value_of(const struct template_names *names, char letter)
{
	return letter == 'u'   ? &names->user
	       : letter == 'n' ? &names->local
	       : letter == 'd' ? &names->domain
			       : &names->dn;
}

/* Reads one value back; returns where it ends. */
static const char *
read_back(const char *out, const struct pm_str *v)
{
	for (size_t i = 0; i < v->n; i++) {
		unsigned c = (unsigned char)*out;

		if (c == '\\') {
			MUST(isxdigit((unsigned char)out[1]) && isxdigit((unsigned char)out[2]));
			MUST(sscanf(out + 1, "%2x", &c) == 1);
			out += 3;
		} else {
			MUST(isalnum((int)c) || (c && strchr("@._-", (int)c)));
			out++;
		}
		MUST(c == (unsigned char)v->p[i]);
	}
	return out;
}

static void
check_filled(const char *t, const char *out, const struct template_names *names)
{
	for (; *t; t++) {
		if (*t == '%' && t[1] && *++t != '%') {
			MUST(value_of(names, *t)->n > 0);
			out = read_back(out, value_of(names, *t));
		} else {
			MUST(*out++ == *t);
		}
	}
	MUST(*out == '\0');
}

/* In a filter, are the parentheses those of the template? */
static int
depth_of(const char *filter)
{
	int depth = 0;

	for (; *filter; filter++)
		depth += (*filter == '(') - (*filter == ')');
	return depth;
}

static void
check_kind(const char *t, enum template_kind kind, const struct template_names *names)
{
	int32_t rc = 1;
	char *out;

	if (template_fault(t, kind, "undD"))
		return;
	out = template_fill(t, kind, names, &rc);
	MUST(out ? rc == PM_OK : rc == PM_NOENT);
	if (out)
		check_filled(t, out, names);
	MUST(!out || kind != TEMPLATE_FILTER || depth_of(out) == 0);
	MUST(!out || kind != TEMPLATE_PLAIN || strcmp(t, "%u") != 0 ||
	     strlen(out) == names->user.n);
	free(out);
}

static void
check_states(const char *text, struct pm_str s)
{
	uint64_t size = 77;
	int64_t number = 77;
	uint32_t rights = 0;

	MUST(state_text(state_of_ad(text)) && state_text(state_of_text(text)));
	MUST(state_of_ad(text) != STATE_OK);
	MUST(state_number(s, &number) || number == 77);
	MUST(state_size(s, &size) || size == 77);
	MUST(state_right(s, &rights) || rights == 0);
	if (state_number(s, &number) && s.p[0] != '-')
		MUST(state_size(s, &size) && size == (uint64_t)number);
	MUST(state_filetime_ms(number) >= 0 && state_days_ms(number) >= 0);
	MUST(state_text(state_of_account_control(number)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *line = n > 0 ? memchr(data, '\n', n) : NULL;
	size_t t_n = line ? (size_t)(line - data) : 0, rest = line ? n - t_n - 1 : n;
	char *t = fuzz_alloc(t_n + 1), *name = fuzz_copy(data + n - rest, rest),
	     *text = fuzz_alloc(rest + 1), letter = 0;
	struct template_names names;
	struct pm_str attr;

	memcpy(t, data, t_n);
	t[t_n] = '\0';
	memcpy(text, name, rest);
	text[rest] = '\0';
	template_split((struct pm_str){name, rest}, &names);
	names.dn = names.user;
	MUST(names.local.n + names.domain.n + (names.local.n < rest) == rest);
	check_kind(t, TEMPLATE_FILTER, &names);
	check_kind(t, TEMPLATE_DN, &names);
	check_kind(t, TEMPLATE_PLAIN, &names);
	attr = template_name_attribute(t, &letter);
	MUST(attr.n == 0 || (attr.p >= t && attr.p + attr.n <= t + t_n));
	check_states(text, (struct pm_str){name, rest});
	free(t);
	free(name);
	free(text);
	return 0;
}
