/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_item - the sidecar: one JSON object beside each message. */
#ifndef RST_BADMAIL_BADMAIL_ITEM_H
#define RST_BADMAIL_BADMAIL_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <restante/module.h>

#include "badmail/badmail_id.h"
#include "conf/conf.h"

/* The envelope of an item, and why it is here. Strings are copied; JSON escapes bytes above 0x7E
 * and controls. */
struct badmail_item {
	enum badmail_class cls;
	struct pm_str sender;       /* reverse-path without <>; empty: the null path */
	const struct pm_str *rcpts; /* as given in RCPT, without <> */
	/* n_rcpts canonical account names, to which RETRY goes; or NULL */
	const struct pm_str *names;
	size_t n_rcpts;
	/* one line in words; items are grouped by it: no addresses, no numbers */
	struct pm_str reason;
	struct pm_str detail;     /* or empty: the particulars of this one */
	struct pm_str code;       /* enhanced code: "5.1.1", "4.3.0" */
	struct pm_str source;     /* "lmtp", "smtp", "deliver" */
	struct pm_str peer, helo; /* or empty */
	bool utf8;                /* SMTPUTF8 was asked for */
};

/* The sidecar of a new item; NULL: no memory. */
json_t *badmail_item_json(const struct badmail_item *item, uint64_t octets, int64_t now_ms,
			  int64_t next_ms);
/* Reads and checks a sidecar. NULL, errno: ENOENT, it is not there; EBADMSG, it is none of ours;
 * else it cannot be read now. The latter two are logged. */
json_t *badmail_item_load(const struct conf_badmail *b, enum badmail_class cls, uint64_t id);
/* Writes a sidecar to a file of tmp/, durable, with the time of the next try as its mtime. 0 or
 * errno. */
int badmail_item_write(const json_t *j, const char *path, int64_t next_ms);
/* The text of a field, "" if it is missing. */
const char *badmail_item_text(const json_t *j, const char *key);
/* Is the text in one of the lists: "recipients", "names", "delivered" (accounts that have the
 * message)? */
bool badmail_item_has(const json_t *j, const char *list, const char *text);
/* The domain of the sender, lower-case; "<>" for the null path. */
void badmail_item_sender_domain(const json_t *j, char *buf, size_t cap);

#endif
