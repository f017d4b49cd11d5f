/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot as a configuration file again: what is in force, defaults included. */
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/dump.h"
#include "conf/schema.h"

/* In quotes when it would be read as something else without. */
static void
put_value(FILE *to, const char *value)
{
	if (*value && !strpbrk(value, "#\"\\${\t\r") && value[0] != ' ' &&
	    value[strlen(value) - 1] != ' ') {
		fputs(value, to);
		return;
	}
	putc('"', to);
	for (; *value; value++) {
		if (strchr("\"\\$", *value))
			putc('\\', to);
		putc(*value, to);
	}
	putc('"', to);
}

/* A list: its words, one a line. */
static void
put_words(FILE *to, const struct schema_row *row, const void *base, const char *indent)
{
	const char *at = (const char *)base + row->offset;
	const char **words;
	size_t n;

	memcpy(&words, at, sizeof(words));
	memcpy(&n, at + sizeof(words), sizeof(n));
	for (size_t i = 0; i < n; i++) {
		fprintf(to, "%s%s = ", indent, row->key);
		put_value(to, words[i]);
		putc('\n', to);
	}
}

/* A unix socket has no port, not even 0. */
static bool
has_path(enum schema_block block, const void *base)
{
	const struct conf_listener *l = block == BLOCK_LISTENER ? base
					: block == BLOCK_METRICS
						? &((const struct conf *)base)->metrics
						: NULL;

	return l && l->path;
}

static void
put_settings(FILE *to, enum schema_block block, const void *base, const char *indent)
{
	char buf[64];

	for (size_t i = 0; i < schema_n_rows; i++) {
		const struct schema_row *row = &schema_rows[i];
		const char *value =
			row->block == block ? schema_text(row, base, buf, sizeof(buf)) : "";

		if (row->block == block && row->type == TYPE_WORDS)
			put_words(to, row, base, indent);
		if (!*value || (row->type == TYPE_PORT && has_path(block, base)))
			continue;
		fprintf(to, "%s%s = ", indent, row->key);
		put_value(to, value);
		putc('\n', to);
	}
}

static void
put_block(FILE *to, const char *kind, const char *name, enum schema_block block, const void *base)
{
	fprintf(to, "\n%s%s%s {\n", kind, *name ? " " : "", name);
	put_settings(to, block, base, "    ");
	if (block != BLOCK_SECTION)
		fputs("}\n", to);
}

static void
put_section(FILE *to, const struct conf_section *s, const char *kind)
{
	put_block(to, kind, s->name, BLOCK_SECTION, s);
	/* only the module's schema knows which of these are secret: their values stay where they
	 * are */
	for (size_t i = 0; i < s->n_settings; i++)
		fprintf(to, "    # %s: %s line %u\n", s->settings[i].key, s->settings[i].where.file,
			s->settings[i].where.line);
	fputs("}\n", to);
}

void
conf_dump(const struct conf *c, FILE *to)
{
	put_settings(to, BLOCK_TOP, c, "");
	put_block(to, "tls", "", BLOCK_TLS, c);
	put_block(to, "log", "", BLOCK_LOG, c);
	put_block(to, "delivery", "", BLOCK_DELIVERY, c);
	for (size_t i = 0; i < c->n_volumes; i++)
		put_block(to, "volume", c->volumes[i].name, BLOCK_VOLUME, &c->volumes[i]);
	for (size_t i = 0; i < c->n_domain_blocks; i++)
		put_block(to, "domain", c->domains[i].name, BLOCK_DOMAIN, &c->domains[i]);
	if (c->badmail.path)
		put_block(to, "badmail", "", BLOCK_BADMAIL, c);
	if (c->metrics.name)
		put_block(to, "metrics", "", BLOCK_METRICS, c);
	for (size_t i = 0; i < c->n_listeners; i++)
		put_block(to, "listener", c->listeners[i].name, BLOCK_LISTENER, &c->listeners[i]);
	for (size_t i = 0; i < c->n_auth; i++)
		put_section(to, &c->auth[i], "auth");
	for (size_t i = 0; i < c->n_storage; i++)
		put_section(to, &c->storage[i], "storage");
}
