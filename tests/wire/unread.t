# mail: ann=plain,two-lines,dot-lines
# fault storage: mbox_info * unreadable 2
# a message that the store cannot read does not affect the others, and stays in the lists
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 3 messages
C: STAT
S~ \+OK 3 \d+
C: LIST
S~ \+OK 3 messages .*
S~ 1 \d+
S~ 2 \d+
S~ 3 \d+
S: .
C: UIDL
S: +OK unique-ids follow
S~ 1 \S+
S~ 2 \S+
S~ 3 \S+
S: .
C: DELE 2
S~ -ERR \[SYS/TEMP\] .*not deleted
C: RETR 2\r\nRETR 3\r\nDELE 2\r\nRETR 1\r\nDELE 1
S~ -ERR \[SYS/TEMP\] .*
S~ \+OK \d+ octets
S. ....
S~ -ERR \[SYS/TEMP\] .*
S~ \+OK \d+ octets
S. this is a letter.
S~ \+OK.*
C: RSET
S~ \+OK.*
C: DELE 2
S~ -ERR \[SYS/TEMP\] .*
C: LIST 2
S~ \+OK 2 \d+
C: DELE 3
S~ \+OK.*
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 2 messages
C: QUIT
S: +OK bye
