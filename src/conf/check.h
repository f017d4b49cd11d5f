/* SPDX-License-Identifier: Apache-2.0 */
/* check - the blocks of a configuration against each other, once all of them are filled. */
#ifndef RST_CONF_CHECK_H
#define RST_CONF_CHECK_H

#include "conf/conf.h"

/* Reports what does not fit together; sets what follows from other settings (reserve,
 * only_wrapped). */
void check_conf(struct conf *c, struct conf_errors *e);

#endif
