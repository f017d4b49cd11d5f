/* SPDX-License-Identifier: Apache-2.0 */
#include "account/address.h"

#include <string.h>

#include "base/utf8.h"

struct reader {
	const char *p, *end;
};

static bool
is_atext(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c >= 0x80 || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool
address_put(struct address *a, char c)
{
	if (a->n >= ADDRESS_MAX)
		return false;
	if ((unsigned char)c >= 0x80)
		a->utf8 = true;
	a->text[a->n++] = c;
	return true;
}

static bool
address_take(struct reader *r, char c)
{
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

/* "..." with backslashes; plain is what is kept. */
static const char *
quoted_local(struct reader *r, struct address *a)
{
	while (r->p < r->end && *r->p != '"') {
		if (*r->p == '\\' && ++r->p == r->end)
			break;
		if ((unsigned char)*r->p < 0x20 || *r->p == 0x7f)
			return "a control character in a quoted local part";
		if (!is_atext((unsigned char)*r->p) && *r->p != '.')
			a->quoted = true;
		if (!address_put(a, *r->p++))
			return "the address is too long";
	}
	if (!address_take(r, '"'))
		return "the quotation mark is not closed";
	if (a->n == 0)
		a->odd = "the local part is empty";
	return NULL;
}

static const char *
local_part(struct reader *r, struct address *a)
{
	if (address_take(r, '"'))
		return quoted_local(r, a);
	while (r->p < r->end && (is_atext((unsigned char)*r->p) || *r->p == '.'))
		if (!address_put(a, *r->p++))
			return "the address is too long";
	/* dots at odd places are forgiven: there are such mailboxes */
	return a->n > 0 ? NULL
			: "the local part is empty, or begins with a character that needs "
			  "quotation marks";
}

static bool
is_domain_octet(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c >= 0x80 || c == '-' || c == '.' || c == '_';
}

/* NULL: a host may have this name, as far as it is looked at. */
static const char *
odd_domain(const char *p, size_t n)
{
	return *p == '.' || *p == '-'
		       ? "the domain is empty, or begins with a character no domain begins with"
	       : memmem(p, n, "..", 2)  ? "the domain has an empty label"
	       : n > ADDRESS_DOMAIN_MAX ? "the domain is longer than 255 octets"
					: NULL;
}

static const char *
address_domain(struct reader *r, struct address *a)
{
	size_t from = a->n;

	if (address_take(r, '[')) {
		a->literal = true;
		(void)address_put(a, '[');
		while (r->p < r->end && *r->p != ']' && *r->p > 0x20 && *r->p < 0x7f &&
		       *r->p != '<' && *r->p != '>' && *r->p != '@')
			if (!address_put(a, *r->p++))
				return "the address is too long";
		return address_take(r, ']') && address_put(a, ']')
			       ? NULL
			       : "the address literal is not closed";
	}
	while (r->p < r->end && is_domain_octet((unsigned char)*r->p))
		if (!address_put(a, *r->p++))
			return "the address is too long";
	if (a->n == from)
		return "the domain is empty, or begins with a character no domain begins with";
	if (a->text[a->n - 1] == '.' && a->n - from > 1)
		a->n--; /* fully qualified: the same domain */
	if (!a->odd)
		a->odd = odd_domain(a->text + from, a->n - from);
	return NULL;
}

/* "@a,@b:" */
static bool
source_route(struct reader *r)
{
	const char *colon = memchr(r->p, ':', (size_t)(r->end - r->p));

	for (; colon && r->p < colon; r->p++)
		if (!is_domain_octet((unsigned char)*r->p) && *r->p != '@' && *r->p != ',')
			return false;
	return colon && address_take(r, ':');
}

static const char *
address_mailbox(struct reader *r, struct address *a)
{
	const char *wrong;

	if (r->p < r->end && *r->p == '@' && !source_route(r))
		return "the source route has no end";
	wrong = local_part(r, a);
	if (wrong)
		return wrong;
	a->local_n = a->n;
	if (address_take(r, '@')) {
		if (!address_put(a, '@'))
			return "the address is too long";
		wrong = address_domain(r, a);
	}
	return wrong;
}

const char *
address_path(const char *p, size_t n, size_t *ret_used, struct address *ret)
{
	struct reader r = {p, p + n};
	const char *wrong;

	memset(ret, 0, sizeof(*ret));
	if (!address_take(&r, '<'))
		return "the address must stand in angle brackets: <user@example.org>";
	if (address_take(&r, '>')) {
		ret->null = true;
		*ret_used = (size_t)(r.p - p);
		return NULL;
	}
	wrong = address_mailbox(&r, ret);
	if (wrong)
		return wrong;
	ret->text[ret->n] = '\0';
	if (!utf8_is_text(ret->text, ret->n))
		return "it is not UTF-8";
	if (!address_take(&r, '>'))
		return "a character that cannot stand in an address, or '>' is missing";
	*ret_used = (size_t)(r.p - p);
	return NULL;
}

size_t
address_quote(const char *name, size_t n, char *ret)
{
	const char *at = memrchr(name, '@', n);
	size_t local = at ? (size_t)(at - name) : n, o = 0;
	bool plain = local > 0 || n == 0;

	for (size_t i = 0; i < local; i++)
		plain = plain && (is_atext((unsigned char)name[i]) || name[i] == '.');
	if (n == 0 || n > ADDRESS_MAX)
		local = n = 0;
	if (plain) {
		memcpy(ret, name, n);
		ret[n] = '\0';
		return n;
	}
	ret[o++] = '"';
	for (size_t i = 0; i < local; i++) {
		if (name[i] == '"' || name[i] == '\\')
			ret[o++] = '\\';
		ret[o++] = name[i];
	}
	ret[o++] = '"';
	memcpy(ret + o, name + local, n - local);
	o += n - local;
	ret[o] = '\0';
	return o;
}
