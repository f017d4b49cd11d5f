/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands of LMTP and SMTP, and the addresses in them. Accepted text holds no control character
 * and fits its buffer, and an address that is quoted again reads as itself: our replies and header
 * lines repeat it unchanged.
 */
#include <stdbool.h>

#include "base/utf8.h"
#include "fuzz.h"
#include "smtp/dparse.h"

static void
check_address(const struct address *a)
{
	char quoted[ADDRESS_QUOTED_MAX + 1], path[ADDRESS_QUOTED_MAX + 3];
	struct address again;
	size_t n, used;

	MUST(a->n <= ADDRESS_MAX && a->text[a->n] == '\0' && strlen(a->text) == a->n);
	MUST(a->null == (a->n == 0));
	MUST(utf8_is_text(a->text, a->n));
	n = address_quote(a->text, a->n, quoted);
	MUST(n <= ADDRESS_QUOTED_MAX && quoted[n] == '\0');
	if (a->null)
		return;
	MUST(a->local_n <= a->n);
	for (size_t i = 0; i < n; i++)
		MUST((unsigned char)quoted[i] >= 0x20 && quoted[i] != 0x7f);
	snprintf(path, sizeof(path), "<%s>", quoted);
	MUST(a->local_n > 0 || a->odd);
	if (a->local_n == a->n && strchr(a->text, '@'))
		return; /* an '@' in a local part without a domain ends it when read again */
	MUST(address_path(path, n + 2, &used, &again) == NULL);
	MUST(used == n + 2 && again.n == a->n && memcmp(again.text, a->text, a->n) == 0 &&
	     again.local_n == a->local_n);
}

static void
check_path(const struct dcommand *c, bool from)
{
	char *args = fuzz_copy(c->args, c->n);
	const char *why = NULL;
	struct dpath p;

	switch (dparse_path(args, c->n, from, &p, &why)) {
	case DPATH_OK:
		check_address(&p.address);
		MUST(from || (p.size == UINT64_MAX && !p.utf8 && !p.address.odd));
		break;
	case DPATH_SYNTAX:
	case DPATH_ADDRESS:
	case DPATH_PARAMETER:
		MUST(why != NULL && *why);
		break;
	}
	free(args);
}

static void
check_attributes(const struct dcommand *c)
{
	char *args = fuzz_copy(c->args, c->n);
	const char *at = args, *end = args + c->n;
	char name[8], value[16];
	int more;

	while ((more = dparse_attribute(&at, end, name, sizeof(name), value, sizeof(value))) == 1) {
		MUST(at <= end && strlen(name) < sizeof(name) && strlen(value) < sizeof(value));
		for (const char *p = value; *p; p++)
			MUST((unsigned char)*p >= 0x20 && *p != 0x7f);
	}
	free(args);
}

static void
check_line(const uint8_t *data, size_t n)
{
	char *line = fuzz_copy(data, n);
	struct dcommand c;
	uint64_t octets;
	bool last;

	if (dparse_line(line, n, &c) == DPARSE_COMMAND) {
		MUST(n <= DPARSE_LINE_MAX && c.args >= line && c.args + c.n <= line + n);
		MUST(c.n == 0 || (c.args[0] != ' ' && c.args[c.n - 1] != ' '));
		MUST(!memchr(c.args, '\n', c.n) && !memchr(c.args, '\r', c.n) &&
		     !memchr(c.args, '\0', c.n));
		check_path(&c, true);
		check_path(&c, false);
		check_attributes(&c);
		if (dparse_bdat(c.args, c.n, &octets, &last))
			MUST(octets <= INT64_MAX);
		if (dparse_name(c.args, c.n))
			MUST(c.n > 0 && c.n <= 255 && !memchr(c.args, ' ', c.n));
	}
	free(line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const uint8_t *end = data + n;

	while (data < end) {
		const uint8_t *lf = memchr(data, '\n', (size_t)(end - data));
		size_t len = lf ? (size_t)(lf - data) + 1 : (size_t)(end - data);

		check_line(data, len);
		data += len;
	}
	return 0;
}
