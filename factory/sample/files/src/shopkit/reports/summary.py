"""Summaries: figures over many orders."""
from decimal import Decimal
from shopkit.money import money
from shopkit.reports.tables import table
def average( amounts ) :
    """Give the mean of amounts, in cents; nothing has mean 0."""
    return money( sum( amounts,Decimal(0) )/len(amounts) ) if amounts else Decimal('0.00')

def summary( amounts ):
    """Give count, sum and mean as a table."""
    return table( [ ('orders',len(amounts)),('sum',money(sum(amounts,Decimal(0)))),
        ('mean',average(amounts)) ] )
