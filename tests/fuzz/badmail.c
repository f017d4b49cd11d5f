/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that Badmail and the counts read from a disk: a sidecar is a complete item or none; a
 * page is sound or not, and one flipped bit makes it damaged; an ID that is accepted would be
 * written the same way. The functions that judge a text have no other callers than their own
 * files, which are therefore part of this one.
 */
#include "../../src/badmail/badmail_item.c"
#include "../../src/base/statefile.c"

#include "badmail/badmail_id.h"
#include "fuzz.h"

#define RECORD 88

static void
sidecar(const char *p, size_t n)
{
	json_t *j = badmail_item_parse(p, n), *names, *rcpts, *x;
	char domain[256];
	size_t i;

	if (!j)
		return;
	rcpts = json_object_get(j, "recipients");
	names = json_object_get(j, "names");
	MUST(json_is_array(rcpts) && json_is_string(json_object_get(j, "sender")));
	MUST(!names || json_array_size(names) == json_array_size(rcpts));
	json_array_foreach(rcpts, i, x) MUST(json_is_string(x));
	badmail_item_sender_domain(j, domain, sizeof(domain));
	MUST(domain[0] != '\0' ||
	     badmail_item_text(j, "sender")[strlen(badmail_item_text(j, "sender")) - 1] == '@');
	MUST(*badmail_item_text(j, "no such field") == '\0');
	json_decref(j);
}

static void
page(const char *p, size_t n)
{
	static const char magic[8] = {'f', 'u', 'z', 'z', 's', 't', 'a', 't'};
	char *copy;

	if (statefile_judge(p, n, magic, RECORD) != STATEFILE_SOUND)
		return;
	MUST(n == RECORD);
	copy = fuzz_copy(p, n);
	copy[24 + (unsigned char)copy[30] % (RECORD - 24)] ^= 1;
	MUST(statefile_judge(copy, n, magic, RECORD) == STATEFILE_DAMAGED);
	free(copy);
}

static void
ident(const char *p, size_t n)
{
	char *text = fuzz_alloc(n + 1), again[17];
	enum badmail_class cls;
	uint64_t id;

	memcpy(text, p, n);
	text[n] = '\0';
	if (badmail_id_parse(text, &cls, &id)) {
		enum badmail_class cls2;
		uint64_t id2;

		badmail_id_format(cls, id, again);
		MUST(badmail_id_parse(again, &cls2, &id2) && cls2 == cls && id2 == id);
	}
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = fuzz_copy(data, n);

	sidecar(text, n);
	page(text, n);
	ident(text, n);
	free(text);
	return 0;
}
