/* SPDX-License-Identifier: Apache-2.0 */
#include "fit.h"

#include <string.h>
#include <strings.h>

const char *
fit_ends(const struct fit_end *outside, const struct fit_end *within)
{
	if (outside->connection != within->connection ||
	    strcmp(outside->server, within->server) != 0)
		return "statements of one connection go to several: a read/write splitter; name "
		       "the "
		       "server that takes writes, or a proxy of whole connections";
	if (outside->readonly || within->readonly)
		return "it takes no writes (read_only); name the server that does";
	return NULL;
}

void
fit_note(struct fit_group *g, const char *name, const char *value)
{
	/* the plugin may be loaded and not be used: then the group has no name */
	if (strcasecmp(name, "group_replication_group_name") == 0)
		g->named = *value != '\0';
	if (strcasecmp(name, "group_replication_single_primary_mode") == 0)
		g->several_primaries = strcasecmp(value, "OFF") == 0 || strcmp(value, "0") == 0;
	/* AFTER makes writers wait, not readers: those of another server may have been written
	 * with another value */
	if (strcasecmp(name, "group_replication_consistency") == 0)
		g->waits = strcasecmp(value, "BEFORE") == 0 ||
			   strcasecmp(value, "BEFORE_AND_AFTER") == 0;
}

const char *
fit_group(const struct fit_group *g)
{
	if (g->named && g->several_primaries && !g->waits)
		return "Group Replication with several primaries needs "
		       "group_replication_consistency = BEFORE or BEFORE_AND_AFTER on each of them";
	return NULL;
}
