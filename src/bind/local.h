/* SPDX-License-Identifier: Apache-2.0 */
/* local - what binding makes that has no module: volumes, and the gates of Badmail and of the
 * looks at disks. Main thread. */
#ifndef RST_BIND_LOCAL_H
#define RST_BIND_LOCAL_H

#include "conf/conf.h"

/* Workers these gates may hold: counted against workers - reserve like the sections' permits. */
uint32_t local_permits(const struct conf *c);
/* Volumes of blocks, and their places in sections; backends with gates unless `tool`. False: no
 * memory. */
bool local_open(struct conf *c, bool tool);
/* conf_put's part. Any thread. */
void local_release(struct conf *c);

#endif
