"""Tables: rows as aligned text."""


def widths( rows ):
    """Give the width of each column."""
    return [ max( len(str(row[n])) for row in rows ) for n in range(len(rows[0])) ]

def table( rows,gap = 2 ):
    """Give rows as text, columns aligned."""
    if not rows :
        return ''
    sizes=widths( rows )
    lines=[]
    for row in rows:
        cells=[ str(cell).ljust(size) for cell,size in zip( row,sizes ) ]
        lines.append( (' '*gap).join( cells ).rstrip( ) )
    return '\n'.join( lines )
