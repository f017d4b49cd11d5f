/* SPDX-License-Identifier: Apache-2.0 */
/* volumes - the disks mail is written to (mailbox/volume.h), for restantectl volumes. */
#ifndef RST_ADMIN_VOLUMES_H
#define RST_ADMIN_VOLUMES_H

#include <jansson.h>

json_t *volumes_answer(const json_t *request);

#endif
