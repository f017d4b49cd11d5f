/* SPDX-License-Identifier: Apache-2.0 */
/* schema - every setting the server itself knows: type, default, range, meaning. One table. */
#ifndef RST_CONF_SCHEMA_H
#define RST_CONF_SCHEMA_H

#include <stddef.h>

#include "base/arena.h"
#include "conf/conf.h"
#include "conf/tree.h"

enum schema_block {
	BLOCK_TOP,
	BLOCK_TLS,
	BLOCK_LOG,
	BLOCK_LISTENER,
	BLOCK_SECTION,
	BLOCK_DELIVERY,
	BLOCK_VOLUME,
	BLOCK_DOMAIN,
	BLOCK_BADMAIL,
	BLOCK_METRICS
};

enum schema_type {
	TYPE_STRING,
	TYPE_PATH,
	TYPE_U32,
	TYPE_PORT,
	TYPE_BOOL,
	TYPE_SECONDS, /* stored as ms */
	TYPE_MS,
	TYPE_I64,
	TYPE_BYTES,
	TYPE_CHOICE,
	TYPE_WORDS,
	TYPE_MODE, /* permissions, octal */
	TYPE_DAYS, /* int32_t; with words: "client" too, -2 */
};

struct schema_row {
	enum schema_block block;
	const char *key;
	enum schema_type type;
	size_t offset;     /* into struct conf, conf_listener, conf_section */
	int64_t min, max;  /* of numbers, in the stored unit */
	const char *words; /* choice: "a|b" in the order of the enum */
	const char *dflt;  /* NULL: none */
	const char *doc;
};

extern const struct schema_row schema_rows[];
extern const size_t schema_n_rows;

/* Sets all defaults of a block in *base. */
void schema_defaults(enum schema_block block, void *base);
/* Is this a key of the block that may be given only once? */
bool schema_once(enum schema_block block, const char *key);
/* One setting into *base. False: no such key in this block (nothing reported); a bad value is
 * reported and counts as known. */
bool schema_set(enum schema_block block, void *base, struct arena *a, const struct conf_node *node,
		struct conf_errors *e);
/* "unknown setting ..., did you mean ..." */
void schema_unknown(enum schema_block block, const struct conf_node *node, struct conf_errors *e);
/* The value of a row as text, as a configuration file would say it; "" when not set. */
const char *schema_text(const struct schema_row *row, const void *base, char *buf, size_t cap);

#endif
