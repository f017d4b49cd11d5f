/* SPDX-License-Identifier: Apache-2.0 */
#include "badmail/badmail_id.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *
badmail_id_class(enum badmail_class cls)
{
	return cls == BADMAIL_RETRY ? "retry" : "refused";
}

void
badmail_id_format(enum badmail_class cls, uint64_t id, char buf[17])
{
	snprintf(buf, 17, "%c%" PRIx64, cls == BADMAIL_RETRY ? 'r' : 'x', id & (UINT64_MAX >> 4));
}

bool
badmail_id_parse(const char *text, enum badmail_class *cls, uint64_t *id)
{
	size_t n = strlen(text);

	if ((text[0] != 'r' && text[0] != 'x') || n < 2 || n > 16 ||
	    strspn(text + 1, "0123456789abcdef") != n - 1)
		return false;
	*cls = text[0] == 'r' ? BADMAIL_RETRY : BADMAIL_REFUSED;
	*id = strtoull(text + 1, NULL, 16);
	return true;
}
