/* SPDX-License-Identifier: Apache-2.0 */
/* desc - descriptors brought to this host's size and checked. Pure. Private to plugins/host. */
#ifndef PM_HOST_DESC_H
#define PM_HOST_DESC_H

#include <stdbool.h>
#include <stddef.h>

#include <restante/module.h>

/* A descriptor with room for its sub-tables. */
struct host_desc {
	struct pm_module module;
	struct pm_life life;
	struct pm_auth auth;
	struct pm_storage storage;
	struct pm_delivery delivery;
};

/* Copies the part that lies inside the module's sizes, zeroes the rest (R1), checks versions, names
 * and required methods. False: err tells what was found and what was expected. */
bool host_desc_take(struct host_desc *to, const struct pm_module *from, char *err, size_t errlen);

/* The i-th option of a schema, in this host's size. */
struct pm_option host_desc_option(const struct pm_module *m, uint32_t i);

#endif
