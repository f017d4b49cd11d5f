/* SPDX-License-Identifier: Apache-2.0 */
/* tree_file - the tree of a configuration file, and of the files it includes. */
#ifndef RST_CONF_TREE_FILE_H
#define RST_CONF_TREE_FILE_H

#include "conf/tree.h"

/* The top level of the file, errors reported and passed over. NULL: not even one setting. */
struct conf_node *tree_file_read(struct arena *a, const char *file, struct conf_errors *e);

#endif
