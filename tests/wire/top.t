# mail: ann=plain,header-only,no-blank-line,empty,dot-first-octet,no-last-end
S: +OK restante ready
C: USER ann
S~ \+OK.*
C: PASS restante
S: +OK 6 messages
C: TOP 1 0
S~ \+OK.*
S. Subject: plain
C: TOP 1 1
S~ \+OK.*
S. Hello,
C: TOP 1 99999999
S~ \+OK.*
S. this is a letter.
C: TOP 2 0
S~ \+OK.*
S. 
C: TOP 4 5
S~ \+OK.*
S: 
S: .
C: RETR 4
S: +OK 0 octets
S: .
C: TOP 5 0
S~ \+OK.*
S: ..X-Dot: first octet
S. Subject: dot-first-octet
C: RETR 6
S~ \+OK.*
S. the last line has no end
C: QUIT
S: +OK bye
