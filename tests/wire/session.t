# mail: ann=plain,two-lines,dot-lines
# RFC 1939 sections 4 to 7: a whole session
S: +OK restante ready
C: USER ann
S: +OK send PASS
C: PASS restante
S: +OK 3 messages
C: STAT
S~ \+OK 3 \d+
C: LIST
S~ \+OK 3 messages \(\d+ octets\)
S~ 1 \d+
S~ 2 \d+
S~ 3 \d+
S: .
C: LIST 2
S~ \+OK 2 \d+
C: UIDL
S~ \+OK .*
S~ 1 \S+
S~ 2 \S+
S~ 3 \S+
S: .
C: UIDL 3
S~ \+OK 3 \S+
C: NOOP
S: +OK
C: RETR 3
S~ \+OK \d+ octets
S. ..
C: TOP 1 0
S~ \+OK .*
S. Subject: plain
C: DELE 1
S~ \+OK .*
C: STAT
S~ \+OK 2 \d+
C: LIST
S~ \+OK 2 messages .*
S~ 2 \d+
S~ 3 \d+
S: .
C: RSET
S~ \+OK .*
C: STAT
S~ \+OK 3 \d+
C: QUIT
S: +OK bye
!end
