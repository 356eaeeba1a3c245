"""Exports as banks, ledgers and spreadsheets write them: made up, after what people have.

Each is a text, the `format` that reads it and its rows; values of a row are joined by `|`, NULL is
nothing. `types` are told only where a day is written as a number. `only` are the fields that no byte of the file decides, which nobody may guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_EU = {"decimal": ",", "thousands": "."}
_GE = {"delimiter": ";", "decimal": ","}
_DMY = {"date": "%d.%m.%Y"}


@dataclass(frozen=True)
class Export:
    """An export.

    Attributes:
        only: fields of `found` that the file does not decide.
        asks: what is said of that.
    """

    name: str
    text: str
    found: Mapping[str, Any]
    rows: str
    encoding: str = "utf-8"
    only: tuple[str, ...] = ()
    asks: str = ""
    types: Mapping[str, str] = field(default_factory=dict)


def _amount(credit: str, debit: str, **more: str) -> dict[str, Any]:
    return {"amount": {"name": "amount", "credit": credit, "debit": debit, **more}}


EXPORTS = (
    # Germany
    Export("de savings bank, camt csv",
           '"Auftragskonto";"Buchungstag";"Verwendungszweck";"Betrag";"Währung"\n'
           '"DE12";"31.03.26";"Miete; März";"-1.845,86";"EUR"\n"DE12";"01.04.26";"Gehalt";"12,00";"EUR"\n',
           {"encoding": "cp1252", "date": "%d.%m.%y", "delimiter": ";", **_EU},
           "DE12|2026-03-31|Miete; März|-1845.86|EUR\nDE12|2026-04-01|Gehalt|12.00|EUR", "cp1252"),
    Export("de direct bank with a preamble and a balance",
           '"Umsatzanzeige";"Datei vom 31.03.2026"\n\n"IBAN";"DE12"\n"Kunde";"Jürgen"\n\n'
           "Buchung;Valuta;Auftraggeber;Saldo;Betrag\n31.03.2026;30.03.2026;REWE;1.154,14;-45,86\n"
           "02.04.2026;02.04.2026;Lohn;2.154,14;1.000,00\n",
           {"encoding": "cp1252", "header": 6, **_GE, **_EU, **_DMY},
           "2026-03-31|2026-03-30|REWE|1154.14|-45.86\n2026-04-02|2026-04-02|Lohn|2154.14|1000.00", "cp1252"),
    Export("de cooperative bank, debits and credits apart",
           "Buchungstag;Text;Soll;Haben\n31.03.2026;Strom;118,50;\n13.04.2026;Miete;;950,00\n",
           {**_GE, **_DMY, **_amount("Haben", "Soll")},
           "2026-03-31|Strom|118.50||-118.50\n2026-04-13|Miete||950.00|950.00"),
    Export("de eleven lines, debits with a minus, a closing balance",
           "Umsätze\nFiliale;100\nKonto;1\n\nVon;1.3.2026\n\nBuchungstag;Text;Soll;Haben\n"
           "31.03.2026;Strom;-1.118,50;\n13.04.2026;Miete;;950,00\nKontostand;13.04.2026;;8,00\n",
           {**_GE, **_EU, **_DMY, "header": 7, "skip_last": 1,
            **_amount("Haben", "Soll", debit_sign="minus")},
           "2026-03-31|Strom|-1118.50||-1118.50\n2026-04-13|Miete||950.00|950.00"),
    Export("de accounting, no header, doc dates without dots",
           "10001;20260331;1.500,00;RE-1\n10002;20260401;20,00;RE-2\n",
           {**_GE, **_EU, "date": "%Y%m%d", "header": False},
           "10001|2026-03-31|1500.00|RE-1\n10002|2026-04-01|20.00|RE-2", types={"column_2": "date"}),
    # Austria, Switzerland
    Export("at bank, no header", "AT12;Bezug;31.03.2026;-1.050,00;EUR\nAT12;Lohn;01.04.2026;2.000,10;EUR\n",
           {**_GE, **_EU, **_DMY, "header": False},
           "AT12|Bezug|2026-03-31|-1050.00|EUR\nAT12|Lohn|2026-04-01|2000.10|EUR"),
    Export("ch bank with apostrophes",
           "Datum;Buchungstext;Belastung;Gutschrift;Saldo\n31.03.2026;Miete;1'850.00;;12'345.65\n"
           "01.04.2026;Lohn;;5'000.00;17'345.65\n",
           {"delimiter": ";", "thousands": "'", **_DMY, **_amount("Gutschrift", "Belastung")},
           "2026-03-31|Miete|1850.00||12345.65|-1850.00\n2026-04-01|Lohn||5000.00|17345.65|5000.00"),
    Export("ch post in UTF-16", "Datum\tText\tBetrag\n31.03.2026\tMiete Zürich\t-1'850.00\n",
           {"delimiter": "\t", "encoding": "utf-16", "thousands": "'", **_DMY},
           "2026-03-31|Miete Zürich|-1850.00", "utf-16"),
    # France, Belgium
    Export("fr bank with blanks in numbers",
           "Date;Libellé;Débit;Crédit\n31/03/2026;Loyer;1 250,00;\n02/04/2026;Salaire;;2 300,50\n",
           {"encoding": "cp1252", **_GE, "thousands": " ", "date": "%d/%m/%Y", **_amount("Crédit", "Débit")},
           "2026-03-31|Loyer|1250.00||-1250.00\n2026-04-02|Salaire||2300.50|2300.50", "cp1252"),
    Export("fr bank with narrow blanks and euro signs",
           "date;montant\n31/03/2026;−1\u202f250,00 €\n30/04/2026;7,5 €\n",
           {**_GE, "thousands": " ", "date": "%d/%m/%Y", "amounts": "currency"},
           "2026-03-31|-1250.00\n2026-04-30|7.50"),
    Export("fr payments, quoted", '"Réf","Montant","Le"\n"A1","1250,00","31/03/2026"\n"A2","3,10","01/04/2026"\n',
           {"decimal": ",", "date": "%d/%m/%Y"}, "A1|1250.00|2026-03-31\nA2|3.10|2026-04-01"),
    Export("be bank", "Rekening;Boekingsdatum;Bedrag\nBE12;31/03/2026;-1.250,00\nBE12;15/04/2026;8,00\n",
           {**_GE, **_EU, "date": "%d/%m/%Y"}, "BE12|2026-03-31|-1250.00\nBE12|2026-04-15|8.00"),
    # Netherlands, Spain, Italy, Portugal
    Export("nl bank, dense dates", '"Datum","Naam","Af Bij","Bedrag (EUR)"\n"20260331","Huur","Af","1250,00"\n'
           '"20260401","Loon","Bij","2300,50"\n', {"decimal": ",", "date": "%Y%m%d"},
           "2026-03-31|Huur|Af|1250.00\n2026-04-01|Loon|Bij|2300.50", types={"Datum": "date"}),
    Export("es bank, a preamble of the same width",
           "Movimientos;;;\nCuenta;ES12;;\nFecha;Concepto;Importe;Saldo\n31/03/2026;Alquiler;-1.250,00;3.000,00\n"
           "01/04/2026;Nómina;2.300,50;5.300,50\n",
           {**_GE, **_EU, "date": "%d/%m/%Y", "header": 3},
           "2026-03-31|Alquiler|-1250.00|3000.00\n2026-04-01|Nómina|2300.50|5300.50"),
    Export("it bank, give and have", "Data;Descrizione;Dare;Avere\n31/03/2026;Affitto;1.250,00;\n01/04/2026;Paga;;900,00\n",
           {**_GE, **_EU, "date": "%d/%m/%Y", **_amount("Avere", "Dare")},
           "2026-03-31|Affitto|1250.00||-1250.00\n2026-04-01|Paga||900.00|900.00"),
    Export("it bank, total line", "Data;Causale;Importo\n31/03/2026;Affitto;-1.250,00\nTotale;;-1.250,00\n",
           {**_GE, **_EU, "date": "%d/%m/%Y", "skip_last": 1}, "2026-03-31|Affitto|-1250.00"),
    Export("pt bank, dashes", "Data;Descrição;Valor\n31-03-2026;Renda;-1.250,00\n01-04-2026;Ordenado;900,00\n",
           {"encoding": "cp1252", **_GE, **_EU, "date": "%d-%m-%Y"},
           "2026-03-31|Renda|-1250.00\n2026-04-01|Ordenado|900.00", "cp1252"),
    # Britain, United States, Canada, Australia, India
    Export("uk bank", "Date,Type,Paid out,Paid in\n31/03/2026,DD,£12.50,\n01/04/2026,BAC,,\"£1,000.00\"\n",
           {"thousands": ",", "date": "%d/%m/%Y", "amounts": "currency", **_amount("Paid in", "Paid out")},
           "2026-03-31|DD|12.50||-12.50\n2026-04-01|BAC||1000.00|1000.00"),
    Export("uk bank, months by name", "Date,Description,Amount\n31 Mar 2026,Rent,-850.00\n1 Apr 2026,Pay,1900.00\n",
           {"date": "%d %b %Y"}, "2026-03-31|Rent|-850.00\n2026-04-01|Pay|1900.00"),
    Export("us bank", 'Date,Description,Amount\n03/31/2026,Rent,"-1,850.00"\n04/01/2026,Pay,"2,300.50"\n',
           {"thousands": ",", "date": "%m/%d/%Y"}, "2026-03-31|Rent|-1850.00\n2026-04-01|Pay|2300.50"),
    Export("us card, parentheses and dollars", 'Posted,Merchant,Amount\n3/31/2026,A,"($1,850.00)"\n4/1/2026,B,$3.00\n',
           {"thousands": ",", "date": "%m/%d/%Y", "amounts": ["parentheses", "currency"]},
           "2026-03-31|A|-1850.00\n2026-04-01|B|3.00"),
    Export("us bank whose days are all below 13", "Date,Amount\n03/04/2026,-5.00\n04/05/2026,7.25\n",
           {"date": "%m/%d/%Y"}, "2026-03-04|-5.00\n2026-04-05|7.25", only=("date",), asks="`03/04/2026` in line 2"),
    Export("us bank, short years", "Date,Amount\n03/31/26,-5.00\n04/05/26,7.25\n", {"date": "%m/%d/%y"},
           "2026-03-31|-5.00\n2026-04-05|7.25"),
    Export("us times with am and pm", "When,Amount\n3/31/2026 1:05 PM,5.00\n4/1/2026 12:00 AM,7.25\n",
           {"timestamp": "%m/%d/%Y %I:%M %p"}, "2026-03-31 13:05:00|5.00\n2026-04-01 00:00:00|7.25"),
    Export("us months by name", 'Date,Amount\n"Mar 31, 2026",5.00\n"Apr 1, 2026",7.25\n', {"date": "%b %d, %Y"},
           "2026-03-31|5.00\n2026-04-01|7.25"),
    Export("ca bank, french", "Date;Montant\n2026-03-31;1 250,00 $\n2026-04-01;-3,10 $\n",
           {**_GE, "thousands": " ", "amounts": "currency"}, "2026-03-31|1250.00\n2026-04-01|-3.10"),
    Export("au bank, no header", '31/03/2026,"-1250.00","RENT"\n01/04/2026,"+900.00","PAY"\n',
           {"date": "%d/%m/%Y", "header": False, "amounts": "plus"}, "2026-03-31|-1250.00|RENT\n2026-04-01|900.00|PAY"),
    Export("in bank, lakhs", 'Date,Narration,Withdrawal Amt.,Deposit Amt.\n31/03/26,UPI,"1,25,000.00",\n'
           '15/04/26,NEFT,,"12,34,567.50"\n',
           {"thousands": ",", "date": "%d/%m/%y", **_amount("Deposit Amt.", "Withdrawal Amt.")},
           "2026-03-31|UPI|125000.00||-125000.00\n2026-04-15|NEFT||1234567.50|1234567.50",
           only=("date",), asks="`31/03/26` in line 2"),
    # Poland, Czechia, Hungary, Russia, Nordics, Turkey, Japan, China, Brazil
    Export("pl bank", "Data;Tytuł;Kwota\n2026-03-31;Czynsz za łąkę;-1 250,00\n2026-04-01;Płaca;900,00\n",
           {"encoding": "cp1250", **_GE, "thousands": " "},
           "2026-03-31|Czynsz za łąkę|-1250.00\n2026-04-01|Płaca|900.00", "cp1250"),
    Export("cz bank", "Datum;Částka;Měna\n31.03.2026;-1 250,00;CZK\n01.04.2026;900,00;CZK\n",
           {"encoding": "cp1250", **_GE, "thousands": " ", **_DMY},
           "2026-03-31|-1250.00|CZK\n2026-04-01|900.00|CZK", "cp1250"),
    Export("hu bank", "Dátum;Összeg\n2026.03.31;-12 500,00 Ft\n2026.04.01;900,00 Ft\n",
           {**_GE, "thousands": " ", "date": "%Y.%m.%d", "amounts": "currency"},
           "2026-03-31|-12500.00\n2026-04-01|900.00"),
    Export("ru bank", "Дата;Назначение;Сумма\n31.03.2026;Аренда;-1 250,00\n01.04.2026;Оплата;900,00\n",
           {"encoding": "cp1251", **_GE, "thousands": " ", **_DMY},
           "2026-03-31|Аренда|-1250.00\n2026-04-01|Оплата|900.00", "cp1251"),
    Export("ru old terminal", "Дата;Сумма\n31.03.2026;-1250,00\n01.04.2026;900,00\n",
           {"encoding": "cp866", **_GE, **_DMY}, "2026-03-31|-1250.00\n2026-04-01|900.00", "cp866"),
    Export("se bank", "Datum;Text;Belopp\n2026-03-31;Hyra Malmö;-8 500,00 kr\n2026-04-01;Lön;25 000,00 kr\n",
           {**_GE, "thousands": " ", "amounts": "currency"},
           "2026-03-31|Hyra Malmö|-8500.00\n2026-04-01|Lön|25000.00"),
    Export("dk bank", '"Dato";"Tekst";"Beløb"\n"31-03-2026";"Husleje";"-8.500,00"\n"01-04-2026";"Løn";"25.000,00"\n',
           {"encoding": "cp1252", **_GE, **_EU, "date": "%d-%m-%Y"},
           "2026-03-31|Husleje|-8500.00\n2026-04-01|Løn|25000.00", "cp1252"),
    Export("tr bank", "Tarih;Tutar\n31/03/2026;-1.250,00 TL\n01/04/2026;900,00 TL\n",
           {**_GE, **_EU, "date": "%d/%m/%Y"}, "2026-03-31|-1.250,00 TL\n2026-04-01|900,00 TL",
           only=("decimal", "thousands")),
    Export("jp bank", "日付,摘要,金額\n2026/03/31,家賃,-85000\n2026/04/01,給与,250000\n",
           {"encoding": "shift_jis", "date": "%Y/%m/%d"}, "2026-03-31|家賃|-85000\n2026-04-01|給与|250000", "shift_jis"),
    Export("cn wallet", '日期,金额\n2026/03/31,"￥1,250.00"\n2026/04/01,￥3.10\n',
           {"encoding": "gb18030", "thousands": ",", "date": "%Y/%m/%d", "amounts": "currency"},
           "2026-03-31|1250.00\n2026-04-01|3.10", "gb18030"),
    Export("br bank", "Data;Lançamento;Valor\n31/03/2026;Aluguel;-R$ 1.250,00\n01/04/2026;Salário;R$ 900,00\n",
           {**_GE, **_EU, "date": "%d/%m/%Y", "amounts": "currency"},
           "2026-03-31|Aluguel|-1250.00\n2026-04-01|Salário|900.00"),
    # ERP
    Export("sap list, trailing minus", "Beleg;Buch.dat.;Betrag\n190001;31.03.2026;1.250,00-\n190002;01.04.2026;900,00\n",
           {**_GE, **_EU, **_DMY, "amounts": "trailing_minus"},
           "190001|2026-03-31|-1250.00\n190002|2026-04-01|900.00"),
    Export("sap list with bars at both ends",
           "|Doc|Date|Amount|\n|190001|31.03.2026|1,250.00-|\n|190002|01.04.2026|900.00|\n",
           {"delimiter": "|", "trailing_delimiter": True, "thousands": ",", **_DMY, "amounts": "trailing_minus"},
           "|190001|2026-03-31|-1250.00\n|190002|2026-04-01|900.00"),
    Export("sap total with an asterisk", "Doc\tDate\tAmount\n190001\t31.03.2026\t1.250,00\n* Total\t\t1.250,00\n",
           {"delimiter": "\t", **_EU, **_DMY, "skip_last": 1}, "190001|2026-03-31|1250.00"),
    Export("erp with semicolons at every end", "Nr;Datum;Summe;\n1;31.03.2026;5,00;\n2;01.04.2026;7,25;\n",
           {**_GE, **_DMY, "trailing_delimiter": True}, "1|2026-03-31|5.00\n2|2026-04-01|7.25"),
    Export("erp whose header lacks the last semicolon", "Nr;Datum;Summe\n1;31.03.2026;5,00;\n2;01.04.2026;7,25;\n",
           {**_GE, **_DMY, "trailing_delimiter": True}, "1|2026-03-31|5.00\n2|2026-04-01|7.25"),
    Export("erp whole amounts with points", "Nr;Summe\n1;1.000\n2;2.500\n", {"delimiter": ";", **_EU},
           "1|1000\n2|2500", only=("decimal", "thousands"), asks="`1.000` in line 2"),
    Export("erp rates with three decimals", "Nr;Rate\n1;1.000\n2;2.500\n", {"delimiter": ";"}, "1|1.000\n2|2.500",
           asks="`1.000` in line 2"),
    Export("erp with millions", "Nr;Summe\n1;1.234.567\n2;2.500\n", {"delimiter": ";", **_EU}, "1|1234567\n2|2500"),
    Export("erp with codes behind", 'Nr,Amount\n1,"1,250.00 EUR"\n2,-3.10 EUR\n',
           {"thousands": ",", "amounts": "currency"}, "1|1250.00\n2|-3.10"),
    Export("erp with padded numbers", "Nr;Summe\n1;  1.250,00\n2;     3,10\n", {**_GE, **_EU, "amounts": "blanks"},
           "1|1250.00\n2|3.10"),
    Export("erp with words for nothing", "Nr,Amount,Due\n1,12.50,2026-03-31\n2,n/a,2026-04-01\n3,5.00,2026-04-02\n",
           {"null": "n/a"}, "1|12.50|2026-03-31\n2||2026-04-01\n3|5.00|2026-04-02"),
    Export("erp with comments", "# run 7\nNr,Amount\n1,12.50\n# page 2\n2,5.00\n", {"comment": "#"}, "1|12.50\n2|5.00"),
    Export("erp with backslashes", 'Nr,Text\n1,"say \\"hi\\", twice"\n2,"x"\n', {"escape": "\\"}, '1|say "hi", twice\n2|x'),
    Export("erp with single quotes", "Nr|Text\n1|'a|b'\n2|'c'\n3|'it''s'\n", {"delimiter": "|", "quote": "'"},
           "1|a|b\n2|c\n3|it's"),
    Export("erp with inches", 'Nr,Text\n1,12" pipe\n2,"14 inch\n3,x\n', {"quote": "none"},
           '1|12" pipe\n2|"14 inch\n3|x'),
    Export("old unix ledger", "Nr\tName\tAmount\n1\tGrün\t5.00\n2\tBlau\t7.25\n",
           {"delimiter": "\t", "encoding": "cp850"}, "1|Grün|5.00\n2|Blau|7.25", "cp850"),
    # pandas, Excel, Access
    Export("pandas to_csv", ",ref,amount\n0,A1,12.5\n1,A2,3.25\n", {}, "0|A1|12.50\n1|A2|3.25"),
    Export("pandas with semicolons and commas", "ref;amount;on\nA1;12,5;2026-03-31\nA2;3,25;2026-04-01\n", _GE,
           "A1|12.50|2026-03-31\nA2|3.25|2026-04-01"),
    Export("pandas floats with nan", "ref,amount\nA1,12.5\nA2,nan\nA3,3.25\n", {"null": "nan"}, "A1|12.50\nA2|\nA3|3.25"),
    Export("pandas timestamps", "ref,at\nA1,2026-03-31 10:00:00\nA2,2026-04-01 00:00:00\n", {},
           "A1|2026-03-31 10:00:00\nA2|2026-04-01 00:00:00"),
    Export("excel unicode text", "Ref\tBetrag\r\nA1\t1.250,00\r\nA2\t3,10\r\n",
           {"delimiter": "\t", "encoding": "utf-16", **_EU}, "A1|1250.00\nA2|3.10", "utf-16"),
    Export("excel csv utf-8 with a mark", "Réf;Betrag\r\nA1;1.250,00\r\nA2;3,10\r\n", {**_GE, **_EU},
           "A1|1250.00\nA2|3.10", "utf-8-sig"),
    Export("excel, german, with accounting formats", "Ref;Betrag\r\nA1; 1.250,00 € \r\nA2;-3,10 € \r\n",
           {"encoding": "cp1252", **_GE, **_EU, "amounts": ["currency", "blanks"]}, "A1|1250.00\nA2|-3.10", "cp1252"),
    Export("excel with empty columns filled", "Report;;\r\n;;\r\nRef;Betrag;Am\r\nA1;5,00;31.03.2026\r\n",
           {**_GE, **_DMY, "header": 3}, "A1|5.00|2026-03-31"),
    Export("excel day and time", "Ref,At\r\nA1,31/03/2026 10:05\r\nA2,01/04/2026 00:00\r\n",
           {"timestamp": "%d/%m/%Y %H:%M"}, "A1|2026-03-31 10:05:00\nA2|2026-04-01 00:00:00"),
    Export("access with dates and times", '"Nr";"Am";"Betrag"\r\n1;31.3.2026 00:00:00;5,00\r\n2;1.4.2026 00:00:00;7,25\r\n',
           {**_GE, "timestamp": "%d.%m.%Y %H:%M:%S"}, "1|2026-03-31 00:00:00|5.00\n2|2026-04-01 00:00:00|7.25"),
    Export("mainframe bars without a header", "0001|20260331|000012.50\n0002|20260401|000007.25\n",
           {"delimiter": "|", "date": "%Y%m%d", "header": False}, "0001|2026-03-31|12.50\n0002|2026-04-01|7.25",
           types={"column_2": "date", "column_3": "decimal(12,2)"}),
    Export("oracle spool", "ID,WHEN_BOOKED,AMOUNT\n1,31-MAR-26,12.50\n2,01-APR-26,7.25\n", {"date": "%d-%b-%y"},
           "1|2026-03-31|12.50\n2|2026-04-01|7.25"),
)  # fmt: skip
